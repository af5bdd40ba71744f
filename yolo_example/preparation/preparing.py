"""Pictures as networks take them: float32 planes, values from 0 to 1, red first."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array, ShapeError

from .._kernels import ffi, lib
from .pixels import Picture, pixels_of
from .placement import Placement, Preparation

CHANNELS = (1, 3)


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
    place = preparation.place(pixels.height, pixels.width, height, width)
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
        *resizing_rules(preparation), ffi.from_buffer("float[]", output.data),
        channels, height, width, threads,
    )  # fmt: skip
    return place.placement(height, width)


def resizing_rules(preparation: Preparation) -> tuple[int, int]:
    """Interpolation and surroundings, as resizing.h numbers them."""
    interpolation = lib.YOLO_CENTRES if preparation.is_centred else lib.YOLO_CORNERS
    is_boxed = preparation is Preparation.LETTER_BOX
    return interpolation, lib.YOLO_GREY if is_boxed else lib.YOLO_EXTEND


def _check_output(output: Array) -> None:
    fits = output.dtype == np.float32 and output.ndim == 3 and output.shape[0] in CHANNELS
    if not (fits and output.size and output.flags.carray):
        raise ShapeError(
            f"the prepared picture cannot be written to an array {output.dtype} "
            f"{list(output.shape)}; give a C-contiguous, writable float32 [3 or 1, height, width]"
        )
