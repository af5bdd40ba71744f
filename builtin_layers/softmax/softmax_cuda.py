"""Softmax by our own CUDA kernels: float32 and 16-bit floats, summed in float32."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...plugins import DataType, Format, Stream, Tactic, TacticRequest, TensorDesc, TensorView
from ..kernels_cuda import THREADS, blocks, kernel, stored

TACTIC = Tactic("cuda", may_alias=frozenset({0}))

TYPES = (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)

FILE = "softmax/softmax.cu"

_SHORT_ROW, _LONG_ROW = 1024, 8192
"""Values of the longest rows that a warp and a block hold in registers."""


def tactics(request: TacticRequest) -> Sequence[Tactic]:
    """The kernel's tactic where it computes the request: dense tensors of a known type."""
    return (TACTIC,) if not request.epilogue and request.inputs[0].dtype in TYPES else ()


def record(
    source: TensorView, output: TensorView, axis: int, logarithm: bool, stream: Stream
) -> None:
    """Put softmax along `axis` (from 0), or its logarithm, on the stream. In channels-last
    memory the axis is that of the channels."""
    outer, size, inner = extents(source.desc, axis)
    rows = outer * inner
    if not rows or not size:
        return
    ending = f"{'true' if logarithm else 'false'}>"
    if inner == 1 and size <= _LONG_ROW:
        threads = 32 if size <= _SHORT_ROW else 256
        held = 1 << (-(-size // threads) - 1).bit_length()
        function = f"softmax_rows<{stored(source.dtype)}, {threads}, {held}, {ending}"
        stream.launch_grid(
            kernel(FILE, function, "TTIi"), blocks(rows * threads), (THREADS,),
            source, output, rows, size,
        )  # fmt: skip
    elif inner == 1:
        function = f"softmax_long_rows<{stored(source.dtype)}, {ending}"
        stream.launch_grid(
            kernel(FILE, function, "TTi"), (rows,), (THREADS,), source, output, size
        )
    else:
        function = f"softmax_columns<{stored(source.dtype)}, {ending}"
        stream.launch_grid(
            kernel(FILE, function, "TTIiI"), blocks(rows), (THREADS,),
            source, output, rows, size, inner,
        )  # fmt: skip


def extents(desc: TensorDesc, axis: int) -> tuple[int, int, int]:
    """The tensor in memory as (elements outside the axis, its size, elements inside)."""
    sizes = desc.sizes
    if desc.format is Format.CHANNELS_LAST:
        return prod(sizes) // max(sizes[axis], 1), sizes[axis], 1
    return prod(sizes[:axis]), sizes[axis], prod(sizes[axis + 1 :])
