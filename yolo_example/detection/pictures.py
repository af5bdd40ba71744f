"""Pictures as a network takes them: float32 [3, height, width] in [0, 1], red first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from plugrt.plugins import Array

from ..replacing import FileError

GREY = 0.5


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the network's input, relative to it: corner and size."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


def open_picture(path: Path) -> Image.Image:
    """The decoded picture in RGB. Raises FileError when it cannot be read or is none."""
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except UnidentifiedImageError:
        raise FileError(
            f"{path}: not a picture in a known format; give a JPEG, PNG or the like"
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise FileError(f"{path}: the picture cannot be read ({reason})") from None


def to_array(picture: Image.Image) -> Array:
    """The pixels as float32 [3, height, width] in [0, 1]."""
    pixels = np.asarray(picture, np.float32) / np.float32(255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def stretched(image: Array, height: int, width: int) -> Array:
    """The picture in the given size, its proportions given up.

    Bilinear, the centres of corner pixels half a pixel from the edge, as in OpenCV's
    `blobFromImage`.
    """
    for axis, size in ((2, width), (1, height)):
        extent = image.shape[axis]
        centres = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(extent / size) - 0.5
        image = _interpolate(image, np.clip(centres, 0, extent - 1), axis)
    return np.ascontiguousarray(image)


def letterboxed(image: Array, height: int, width: int) -> tuple[Array, Placement]:
    """The picture fitted into the given size with its proportions, in the middle of grey."""
    inner_height, inner_width = fitted_size(image.shape[1], image.shape[2], height, width)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    boxed = np.full((image.shape[0], height, width), GREY, np.float32)
    inner = resize_bilinear(image, inner_height, inner_width)
    boxed[:, top : top + inner_height, left : left + inner_width] = inner
    # Darknet maps boxes back with halves of pixels, though it places the picture on whole ones.
    placement = Placement(
        (width - inner_width) / 2 / width,
        (height - inner_height) / 2 / height,
        inner_width / width,
        inner_height / height,
    )
    return boxed, placement


def fitted_size(image_height: int, image_width: int, height: int, width: int) -> tuple[int, int]:
    """The largest size with the picture's proportions within height x width, rounded down as
    Darknet does, at least 1."""
    if width * image_height < height * image_width:
        return max(1, image_height * width // image_width), width
    return height, max(1, image_width * height // image_height)


def resize_bilinear(image: Array, height: int, width: int) -> Array:
    """Darknet's interpolation: corners fall on corners, first along rows, then columns.

    `image` is float32 [channels, height, width]; so is the result.
    """
    for axis, size in ((2, width), (1, height)):
        extent = image.shape[axis]
        step = np.float32(extent - 1) / np.float32(max(size - 1, 1))
        position = np.arange(size, dtype=np.float32) * step
        position[-1] = extent - 1
        image = _interpolate(image, position, axis)
    return np.ascontiguousarray(image)


def _interpolate(image: Array, position: Array, axis: int) -> Array:
    """The image at these positions along `axis`, between neighbours in proportion."""
    last = image.shape[axis] - 1
    first = np.minimum(position.astype(np.int64), last)
    second = np.minimum(first + 1, last)
    shape = [1] * image.ndim
    shape[axis] = len(position)
    weight = (position - first).astype(np.float32).reshape(shape)
    mixed: Array = (1 - weight) * image.take(first, axis) + weight * image.take(second, axis)
    return mixed
