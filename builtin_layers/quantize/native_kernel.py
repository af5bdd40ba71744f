"""Quantising dense float32 tensors to int8 or uint8 by our own C kernels."""

from __future__ import annotations

from math import prod

from ...plugins import DataType, DeviceError, Kernel, Stream, Tactic, TensorDesc, TensorView
from .. import kernels

TACTIC = Tactic("kernel", priority=1)

LAYOUT = "TT" + "q" + "f" + "i"
"""struct quantize_arguments in quantize.h."""

_TYPES = {DataType.INT8: "int8", DataType.UINT8: "uint8"}


def supports(source: TensorDesc, output: TensorDesc) -> bool:
    """Whether there is a kernel for these tensors; never in extensions older than it."""
    fits = (
        source.dtype is DataType.FLOAT32
        and output.dtype in _TYPES
        and source.format is output.format
        and source.is_dense
        and output.is_dense
    )
    try:
        return fits and _kernel(output.dtype) is not None
    except DeviceError:
        return False


def record(
    source: TensorView, output: TensorView, scale: float, zero_point: int, stream: Stream
) -> None:
    """Put round(source / scale) + zero_point on the stream, half to even, saturating; NaN is 0."""
    stream.launch(
        _kernel(output.dtype), source, output, prod(source.desc.sizes), scale, zero_point
    )


def _kernel(dtype: DataType) -> Kernel:
    return kernels.kernel(f"plugrt_quantize_{_TYPES[dtype]}", LAYOUT)
