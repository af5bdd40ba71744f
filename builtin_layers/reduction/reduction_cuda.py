"""Reductions and ArgMax by our own CUDA kernel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...plugins import DataType, DeviceError, Stream, TensorView
from ...plugins.native.cuda.pointwise import argument
from ..kernels_cuda import THREADS, kernel, stored
from .strided_plan import Loop, StridedPlan

OPERATIONS = {"sum": "Sum", "mean": "Mean", "max": "Maximum", "arg_max": "ArgMax"}
"""The operations of `Reduce` and ArgMax, and their names in reduction.cu."""

FILE = "reduction/reduction.cu"

_MOST = 2**32 - 1


def record(operation: str, plan: StridedPlan, source: TensorView, target: TensorView,
           stream: Stream) -> None:  # fmt: skip
    """Put a reduction on the stream; `operation` is one of OPERATIONS. Raises DeviceError for
    more elements than a kernel counts."""
    results = prod(loop.size for loop in plan.kept)
    elements = prod(loop.size for loop in plan.reduced)
    if max(results, elements) > _MOST:
        raise DeviceError(f"a reduction of {source.desc} is too large for one kernel; split it")
    if not results:
        return
    lanes = _lanes(plan, source.dtype.itemsize, elements)
    function = (
        f"reduce<{OPERATIONS[operation]}, {stored(source.dtype)}, {_accumulator(source.dtype)}, "
        f"{lanes}, {len(plan.kept)}, {len(plan.reduced)}>"
    )
    kept, reduced = f"{len(plan.kept)}q", f"{len(plan.reduced)}q"
    stream.launch_grid(
        kernel(FILE, function, f"TTII{kept * 3}{reduced * 2}"), (-(-results // lanes), 1, 1),
        (THREADS,), source, target, results, elements,
        argument([loop.size for loop in plan.kept]),
        _elements(plan.kept, "input_stride", source.dtype),
        _elements(plan.kept, "output_stride", target.dtype),
        argument([loop.size for loop in plan.reduced]),
        _elements(plan.reduced, "input_stride", source.dtype),
    )  # fmt: skip


def _lanes(plan: StridedPlan, item: int, elements: int) -> int:
    """Results that a block computes side by side."""
    if plan.reduced[-1].input_stride == item and elements >= 32:
        return 1 if elements > 256 else 8
    return 32 if elements >= 32 else 256


def _accumulator(dtype: DataType) -> str:
    if dtype is DataType.FLOAT64:
        return "double"
    return "float" if dtype.is_float else "long long"


def _elements(loops: Sequence[Loop], stride: str, dtype: DataType) -> int | Sequence[int]:
    return argument([getattr(loop, stride) // dtype.itemsize for loop in loops])
