"""Preparation of pictures on a GPU: bytes in, the network's input out, in one kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugrt.plugins import DataType, Format, Stream, Tactic, TensorDesc, TensorView
from plugrt.plugins.native.cuda.expression_source import STORED_TYPES

from ..cuda_kernels import kernel
from .placement import Place, Preparation

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

FILE = "preparation/prepare.cu"
BLOCK = (32, 8, 1)
MOST_IMAGES = 65535
"""What one grid counts."""


def takes(source: TensorDesc, output: TensorDesc) -> bool:
    """Whether the kernel reads and writes such tensors: bytes in the order of arrays in, any
    floats out."""
    return (
        (source.dtype, source.format) == (DataType.UINT8, Format.LINEAR)
        and output.dtype in TYPES
        and output.format in FORMATS
        and source.quantization is output.quantization is None
    )


def tactics(source: TensorDesc) -> Sequence[Tactic]:
    """The kernel's tactic, for as many pictures as it takes."""
    fits = source.sizes[0] <= MOST_IMAGES
    return (Tactic("cuda", strided_outputs=frozenset({0})),) if fits else ()


def record(
    pictures: TensorView, preparation: Preparation, output: TensorView, stream: Stream
) -> None:
    """Put on the stream what writes pictures, uint8 [N, height, width, 3 or 4], into `output`
    [N, 3 or 1, height, width], of any float type and format; N is 65535 at most."""
    images, rows, columns, _ = pictures.shape
    _, channels, height, width = output.shape
    place = preparation.place(rows, columns, height, width)
    if preparation.is_centred:
        steps = (_centre_step(place.height, rows), _centre_step(place.width, columns))
    else:
        steps = (_corner_step(place.height, rows), _corner_step(place.width, columns))
    centres = str(preparation.is_centred).lower()
    extends = str(preparation is not Preparation.LETTER_BOX).lower()
    stream.launch_grid(
        kernel(
            FILE, f"prepare<{STORED_TYPES[output.dtype]}, {centres}, {extends}>", "TTiii5q4i2d4q"
        ),
        (-(-width // BLOCK[0]), -(-height // BLOCK[1]), images), BLOCK,
        pictures, output, channels, height, width,
        (rows, columns, *pictures.desc.element_strides[:3]), _numbers(place), steps,
        output.desc.element_strides,
    )  # fmt: skip


def _numbers(place: Place) -> tuple[int, int, int, int]:
    return (place.height, place.width, place.top, place.left)


def _corner_step(size: int, extent: int) -> float:
    return float(np.float32(extent - 1) / np.float32(size - 1)) if size > 1 else 0.0


def _centre_step(size: int, extent: int) -> float:
    return 1.0 / (size / extent)
