"""Preparation of pictures on a GPU: bytes in, the network's input out, in one kernel."""

from __future__ import annotations

from plugrt.plugins import DataType, ShapeError, Stream, TensorView
from plugrt.plugins.native.cuda.expression_source import STORED_TYPES

from ..cuda_kernels import THREADS, blocks, kernel
from .placement import Place, Placement, centre_cropped, letter_boxed
from .preparing import CHANNELS, Preparation

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)

FILE = "preparation/prepare.cu"
COLORS = 3


def record(
    picture: TensorView, preparation: Preparation, output: TensorView, image: int, stream: Stream
) -> Placement:
    """Put on the stream what writes a picture, uint8 [height, width, 3 or 4], into image `image`
    of `output` [N, 3 or 1, height, width], of any float type and format.

    Values and placement are those of `prepare`. Raises ShapeError for tensors of other shapes
    and types.
    """
    _check(picture, output)
    rows, columns, _ = picture.shape
    _, channels, height, width = output.shape
    if preparation is Preparation.STRETCHED:
        place = Place(height, width)
    elif preparation is Preparation.LETTER_BOX:
        place = letter_boxed(rows, columns, height, width)
    else:
        place = centre_cropped(rows, columns, height, width)
    centres = str(preparation is Preparation.STRETCHED).lower()
    extends = str(preparation is not Preparation.LETTER_BOX).lower()
    row_stride, pixel_stride, _ = picture.desc.element_strides
    part = output.slice(0, image, 1)
    stream.launch_grid(
        kernel(
            FILE, f"prepare<{STORED_TYPES[output.dtype]}, {centres}, {extends}>", "TTiii4q4i3q"
        ),
        blocks(height * width), (THREADS,), picture, part, channels, height, width,
        (rows, columns, row_stride, pixel_stride),
        (place.height, place.width, place.top, place.left), part.desc.element_strides[1:],
    )  # fmt: skip
    return place.placement(height, width)


def _check(picture: TensorView, output: TensorView) -> None:
    fits = picture.dtype is DataType.UINT8 and picture.desc.rank == 3
    if not fits or picture.shape[2] not in (COLORS, COLORS + 1) or 0 in picture.shape:
        raise ShapeError(f"{picture.desc} is no picture; give uint8 [height, width, 3 or 4]")
    if output.dtype not in TYPES or output.desc.rank != 4 or output.shape[1] not in CHANNELS:
        raise ShapeError(
            f"a picture cannot be prepared into {output.desc}; give floats [N, 3 or 1, height, "
            "width]"
        )
