"""Pictures in memory, as the resizing kernel takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np
from PIL import Image

from plugrt.plugins import Array, ShapeError

from .pillow_memory import address_of_pixels

Picture = Union[Image.Image, Array]  # noqa: UP007 (`|` of these fails before Python 3.11)
"""A Pillow image of any mode, or a uint8 array [height, width, 3] of red, green, blue."""

COLORS = 3
PIXEL_STRIDES = (3, 4)
PILLOW_PIXEL = 4
"""Bytes of a pixel in Pillow's memory."""

MAXIMUM_SIDE = 65536
"""Pixels. Places in larger pictures are too coarse in float32, of which Darknet makes use."""


@dataclass(frozen=True)
class Pixels:
    """Where a picture's bytes lie. `owner` keeps them there."""

    address: int
    height: int
    width: int
    row_stride: int
    pixel_stride: int
    owner: object


def size_of(picture: Picture) -> tuple[int, int]:
    """Height and width. Raises ShapeError for what is no picture, or one without pixels."""
    if isinstance(picture, Image.Image):
        width, height = picture.size
    elif isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != COLORS:
            raise ShapeError(
                f"the picture is an array {picture.dtype} {list(picture.shape)}; give uint8 "
                "[height, width, 3], red first"
            )
        height, width = picture.shape[:2]
    else:
        raise ShapeError(
            f"the picture is a {type(picture).__name__}; give a Pillow image or a uint8 array "
            "[height, width, 3]"
        )
    if not (0 < height <= MAXIMUM_SIDE and 0 < width <= MAXIMUM_SIDE):
        raise ShapeError(
            f"the picture is {width} x {height} pixels; both sides must be from 1 to "
            f"{MAXIMUM_SIDE}: cut it into tiles, or make it smaller"
        )
    return height, width


def pixels_of(picture: Picture) -> Pixels:
    """The picture's bytes, copied only where they lie otherwise than the kernel can read.

    Raises ShapeError as `size_of` does.
    """
    height, width = size_of(picture)
    if isinstance(picture, Image.Image):
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        found = address_of_pixels(rgb)
        if found is not None:
            address, owner = found
            return Pixels(address, height, width, width * PILLOW_PIXEL, PILLOW_PIXEL, owner)
        array = np.asarray(rgb)
    else:
        array = picture
    if array.strides[2] != 1 or array.strides[1] not in PIXEL_STRIDES:
        array = np.ascontiguousarray(array)
    address = array.__array_interface__["data"][0]
    return Pixels(address, height, width, array.strides[0], array.strides[1], array)
