"""Pictures as networks take them: float32 planes, values from 0 to 1, red first."""

from __future__ import annotations

from enum import Enum

import numpy as np

from plugrt.plugins import Array, ShapeError

from .._kernels import ffi, lib
from .pixels import Picture, pixels_of
from .placement import Place, Placement, centre_cropped, letter_boxed

CHANNELS = (1, 3)


class Preparation(Enum):
    """How a picture becomes as large as a network's input. All interpolate bilinearly."""

    STRETCHED = "stretched"
    """The proportions are given up. Equal to OpenCV's `blobFromImage` bit for bit: centres of
    corner pixels half a pixel inside, 11-bit weights, values rounded to 8 bits."""

    LETTER_BOX = "letter-box"
    """Fitted into a frame of grey (0.5), as the first Darknet's detector and classifier do:
    corners on corners, no rounding."""

    CENTRE_CROP = "centre-crop"
    """The shorter side made as long as the input is wide, the middle taken, as the fork's
    `classifier predict` does; interpolated like the letter box."""


def prepare(
    picture: Picture, preparation: Preparation, output: Array, threads: int = 1
) -> Placement:
    """Write a picture into `output`, float32 [3 or 1, height, width]; one channel is luminance
    (0.299 red + 0.587 green + 0.114 blue).

    `threads` does not change the result. Returns where the picture lies. Raises ShapeError for
    what is no picture, one without pixels or with too many, and for another kind of output.
    """
    _check_output(output)
    pixels = pixels_of(picture)
    channels, height, width = output.shape
    interpolation, surroundings = lib.YOLO_CORNERS, lib.YOLO_GREY
    if preparation is Preparation.STRETCHED:
        place, interpolation = Place(height, width), lib.YOLO_CENTRES
    elif preparation is Preparation.LETTER_BOX:
        place = letter_boxed(pixels.height, pixels.width, height, width)
    else:
        place = centre_cropped(pixels.height, pixels.width, height, width)
        surroundings = lib.YOLO_EXTEND
    source = (
        ffi.cast("const uint8_t *", pixels.address),
        pixels.height,
        pixels.width,
        pixels.row_stride,
        pixels.pixel_stride,
    )
    lib.yolo_prepare(
        ffi.new("yolo_picture *", source),
        ffi.new("yolo_place *", (place.height, place.width, place.top, place.left)),
        interpolation, surroundings, ffi.from_buffer("float[]", output.data),
        channels, height, width, threads,
    )  # fmt: skip
    return place.placement(height, width)


def _check_output(output: Array) -> None:
    fits = output.dtype == np.float32 and output.ndim == 3 and output.shape[0] in CHANNELS
    if not (fits and output.size and output.flags.carray):
        raise ShapeError(
            f"the prepared picture cannot be written to an array {output.dtype} "
            f"{list(output.shape)}; give a C-contiguous, writable float32 [3 or 1, height, width]"
        )
