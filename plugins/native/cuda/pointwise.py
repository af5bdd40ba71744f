"""Scalar expressions over tensors as one kernel: any strides and formats, NumPy's broadcasting.

A kernel is made for an expression, the types, the number of loops and the way each tensor is
accessed; sizes and strides are arguments, so that layers of one network share kernels. Types of
computation and rules of conversion are those of `plugrt.plugins.native.pointwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from ...data_types import DataType
from ...errors import DeviceError, ShapeError
from ...expression import Expression, Input, inputs_of
from ...stream import Stream
from ...tensor import TensorDesc, TensorView
from ..expression_program import compute_type
from ..geometry import Loops, Operand, loops_over
from .expression_source import COMPUTE_TYPES, NARROW, STORED_TYPES, lower
from .headers import device_headers, divisors
from .kernel import CudaKernel, CudaSource

THREADS = 256

ACCESS_BYTES = 16
"""The widest access of one thread."""

_MOST = 2**31
"""What division.cuh divides."""


@dataclass(frozen=True)
class Access:
    """How a thread reads or writes its neighbouring elements of a tensor.

    `packed`: together, aligned; `one`: all are the same element; else one by one.
    """

    ctype: str
    packed: bool = False
    one: bool = False


@dataclass(frozen=True)
class PointwisePass:
    """An expression for tensors of fixed descriptions: the kernel, and the loops.

    `length` is the innermost loop's; in `sizes` it counts packs.
    """

    leaves: tuple[Input, ...]
    kernel: CudaKernel
    packs: int
    length: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def supports(
    expression: Expression,
    inputs: Sequence[TensorDesc] = (),
    output: TensorDesc | None = None,
) -> bool:
    """True when `record` can run this expression, for these types if given."""
    types = [inputs[leaf.index].dtype for leaf in inputs_of(expression)] if inputs else []
    return all(dtype in STORED_TYPES for dtype in (*types, *([output.dtype] if output else [])))


def record(
    stream: Stream, expression: Expression, inputs: Sequence[TensorView], output: TensorView
) -> None:
    """Append the kernel that stores `expression` of the inputs in the output.

    Input(i) of the expression is inputs[i], whose shape broadcasts to the output's. The output
    may be the buffer of an input of equal type, shape and strides. Raises ShapeError when shapes
    do not fit, DeviceError for types that no kernel takes.
    """
    if 0 in output.shape:
        return
    descs = tuple(replace(view.desc, value=None) for view in inputs)
    offsets = tuple(view.offset % ACCESS_BYTES for view in (*inputs, output))
    whole = compile_pass(expression, descs, replace(output.desc, value=None), offsets)
    stream.launch_grid(
        whole.kernel, (-(-whole.packs // THREADS), 1, 1), (THREADS, 1, 1),
        *(inputs[leaf.index] for leaf in whole.leaves), output,
        whole.packs, whole.length, divisors(whole.sizes), argument(whole.strides),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def compile_pass(
    expression: Expression,
    inputs: tuple[TensorDesc, ...],
    output: TensorDesc,
    offsets: tuple[int, ...],
) -> PointwisePass:
    """The pass for tensors that begin `offsets` bytes behind a multiple of ACCESS_BYTES, the
    inputs' and the output's. Raises like `record`."""
    leaves = inputs_of(expression)
    if leaves and leaves[-1].index >= len(inputs):
        raise ShapeError(f"the expression reads input {leaves[-1].index} of {len(inputs)}")
    types = {leaf.index: inputs[leaf.index].dtype for leaf in leaves}
    for dtype in (*types.values(), output.dtype):
        if dtype not in STORED_TYPES:
            names = ", ".join(known.value for known in STORED_TYPES)
            raise DeviceError(f"pointwise kernels do not take {dtype.value}; cast to: {names}")
    loops = loops_over(output, [Operand(inputs[leaf.index], leaf.axis) for leaf in leaves])
    items = [*(inputs[leaf.index].dtype.itemsize for leaf in leaves), output.dtype.itemsize]
    begins = [*(offsets[leaf.index] for leaf in leaves), offsets[-1]]
    sizes, strides = _in_elements(loops, items)
    width = _width(sizes, strides, items, begins)
    ctypes = [*(STORED_TYPES[types[leaf.index]] for leaf in leaves), STORED_TYPES[output.dtype]]
    accesses = tuple(
        _access(ctype, row, item, begin, width)
        for ctype, row, item, begin in zip(ctypes, strides, items, begins, strict=True)
    )
    packs = prod(sizes[:-1]) * -(-sizes[-1] // width)
    if packs >= _MOST or sizes[-1] >= _MOST:
        raise DeviceError(f"{output} has too many elements for one pointwise kernel; split it")
    compute = compute_type(expression, types, output.dtype)
    kernel = _kernel(expression, compute, accesses, width, len(sizes), output.dtype in NARROW)
    return PointwisePass(
        leaves, kernel, packs, sizes[-1], (*sizes[:-1], -(-sizes[-1] // width)),
        tuple(step for row in strides for step in row),
    )  # fmt: skip


def argument(values: Sequence[int]) -> int | Sequence[int]:
    """Values as a field of a kernel's layout takes them: an array of one is a number."""
    return values[0] if len(values) == 1 else values


def _in_elements(
    loops: Loops, items: Sequence[int]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Sizes, and each tensor's strides in elements; at least one loop."""
    if not loops.sizes:
        return (1,), [(0,) for _ in items]
    rows = zip(loops.strides, items, strict=True)
    return loops.sizes, [tuple(stride // item for stride in row) for row, item in rows]


def _width(
    sizes: Sequence[int], strides: Sequence[tuple[int, ...]], items: Sequence[int],
    begins: Sequence[int],
) -> int:
    """Neighbouring elements that a thread computes: as many as the narrowest tensor has in one
    access, while the output can be written so."""
    width = ACCESS_BYTES // min(items)
    while width > 1 and (
        width > sizes[-1] or not _is_packed(strides[-1], items[-1], begins[-1], width)
    ):
        width //= 2
    return width


def _is_packed(strides: tuple[int, ...], item: int, begin: int, width: int) -> bool:
    """Whether `width` elements can be accessed together wherever a thread begins."""
    reach = min(width * item, ACCESS_BYTES)
    return (
        strides[-1] == 1
        and begin % reach == 0
        and all(stride * item % reach == 0 for stride in strides[:-1])
    )


def _access(
    ctype: str, strides: tuple[int, ...], item: int, begin: int, width: int
) -> Access:
    if strides[-1] == 0:
        return Access(ctype, one=True)
    return Access(ctype, packed=_is_packed(strides, item, begin, width))


@lru_cache(maxsize=1024)
def _kernel(
    expression: Expression, compute: DataType, accesses: tuple[Access, ...], width: int,
    loop_count: int, narrow: bool,
) -> CudaKernel:
    text = source_text(expression, compute, accesses, width, loop_count, narrow)
    layout = f"{'T' * len(accesses)}Ii{loop_count * 3}I{loop_count * len(accesses)}q"
    source = CudaSource(text, "pointwise.cu", device_headers())
    return CudaKernel(source, "pointwise", layout, overlaps=True)


def source_text(
    expression: Expression, compute: DataType, accesses: Sequence[Access], width: int,
    loop_count: int, narrow: bool,
) -> str:
    """The kernel `pointwise` for tensors accessed so: the expression's inputs in order, then
    the output. Each thread computes `width` neighbours of the innermost of `loop_count` loops."""
    leaves = inputs_of(expression)
    *reads, write = accesses
    ctype = COMPUTE_TYPES[compute]
    lowered = lower(
        expression, {leaf: f"x{k}[k]" for k, leaf in enumerate(leaves)}, compute, quick=narrow
    )
    parameters = [f"const {access.ctype} *p{k}" for k, access in enumerate(reads)]
    parameters += [f"{write.ctype} *p{len(reads)}", "unsigned packs", "int length", "Sizes sizes"]
    count = len(accesses)
    column = "rest" if loop_count == 1 else f"sizes.of[{loop_count - 1}].split(rest)"
    lines = [f"    long long o{k} = column * {_stride(k, -1, loop_count)};" for k in range(count)]
    for loop in range(loop_count - 2, -1, -1):
        index = "rest" if loop == 0 else f"sizes.of[{loop}].split(rest)"
        lines.append(f"    {{ const long long i = {index};")
        lines += [f"      o{k} += i * {_stride(k, loop, loop_count)};" for k in range(count)]
        lines.append("    }")
    lines += [
        f"    {ctype} x{k}[{width}];\n    {_load(access, k, ctype, width, loop_count)}"
        for k, access in enumerate(reads)
    ]
    return f"""#include "storage.cuh"
#include "dependency.cuh"
#include "division.cuh"
#include "expression.cuh"
using namespace plugrt;
struct Sizes {{ Divisor of[{loop_count}]; }};
struct Strides {{ long long values[{loop_count * count}]; }};

extern "C" __global__ void __launch_bounds__({THREADS})
pointwise({", ".join(parameters)}, Strides strides)
{{
    await_predecessors();
    unsigned rest = blockIdx.x * {THREADS}u + threadIdx.x;
    if (rest >= packs)
        return;
    const long long column = {column} * {width}LL;
    const long long left = length - column;
    const int count = left < {width} ? static_cast<int>(left) : {width};
{chr(10).join(lines)}
    {ctype} y[{width}];
#pragma unroll
    for (int k = 0; k < {width}; k++) {{
{lowered.indented(8)}
        y[k] = {lowered.result};
    }}
    {_store(write, len(reads), ctype, width, loop_count)}
}}
"""


def _stride(tensor: int, loop: int, loop_count: int) -> str:
    return f"strides.values[{tensor * loop_count + loop % loop_count}]"


def _load(access: Access, k: int, ctype: str, width: int, loop_count: int) -> str:
    if access.one:
        return f"load_some<{ctype}>(p{k} + o{k}, 0, {width}, x{k});"
    single = f"load_some<{ctype}>(p{k} + o{k}, {_stride(k, -1, loop_count)}, count, x{k});"
    if not access.packed:
        return single
    packed = f"load<{ctype}, {access.ctype}, {width}>(p{k} + o{k}, x{k});"
    return f"if (count == {width}) {packed}\n    else {single}"


def _store(access: Access, k: int, ctype: str, width: int, loop_count: int) -> str:
    single = f"store_some(p{k} + o{k}, {_stride(k, -1, loop_count)}, count, y);"
    if not access.packed:
        return single
    packed = f"store<{access.ctype}, {ctype}, {width}>(p{k} + o{k}, y);"
    return f"if (count == {width}) {packed}\n    else {single}"
