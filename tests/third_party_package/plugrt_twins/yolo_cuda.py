"""The yolo layer on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from plugrt.plugins import (
    DataType,
    Format,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
)

from .kernels_cuda import THREADS, TYPES, blocks, kernel

FLOATS = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

LAYOUT = "TTIiiiiffi4q4q"


def takes(source: TensorDesc, output: TensorDesc) -> bool:
    """Whether the kernel reads and writes such tensors."""
    plain = (DataType.FLOAT32, Format.LINEAR, None)
    return (
        source.dtype in FLOATS
        and source.format in FORMATS
        and source.quantization is None
        and (output.dtype, output.format, output.quantization) == plain
    )


def tactics(request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request."""
    source, output = request.inputs[0], request.outputs[0]
    if request.epilogue or not takes(source, output):
        return ()
    only = frozenset({0})
    alike = (source.dtype, source.format) == (output.dtype, output.format)
    return (
        Tactic(
            "cuda", strided_inputs=only, strided_outputs=only,
            may_alias=only if alike else frozenset(),
        ),
    )  # fmt: skip


def record(
    source: TensorView, output: TensorView, planes: int, scale: float, activates: bool,
    stream: Stream,
) -> None:  # fmt: skip
    """Put the kernel on the stream; in place or not."""
    count = prod(source.shape)
    stream.launch_grid(
        kernel("yolo.cu", f"activate<{TYPES[source.dtype]}>", LAYOUT), blocks(count), (THREADS,),
        source, output, count, source.shape[1], planes, *source.shape[2:], scale,
        -0.5 * (scale - 1), int(activates), source.desc.element_strides,
        output.desc.element_strides,
    )  # fmt: skip
