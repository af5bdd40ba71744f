"""Scalar expressions over tensors as one vectorised pass, without a compiler.

Any strides and formats, NumPy's broadcasting, and vectors along an axis. The pass computes in
float32 (float64 where a float64 takes part, int64 where all types are integers or bool and
nothing is fractional) and converts as it loads and stores. Storing floating point as integers
truncates and saturates, NaN becoming 0: quantising expressions end in `rounded`. Storing
integers as narrower ones wraps, as NumPy's `astype` does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod

import numpy as np

from ..data_types import DataType
from ..errors import DeviceError, ShapeError
from ..expression import Constant, Expression, Input, inputs_of, rename
from ..stream import Stream
from ..tensor import Array, TensorDesc, TensorView
from ._extension import extension_available, kernel_address, lib, require_extension
from .expression_program import ExpressionProgram, compile_expression, compute_type
from .geometry import Loops, Operand, loops_over
from .immediate import desc_of, run_kernel

_STORAGE = {
    DataType.FLOAT32: "FLOAT32",
    DataType.FLOAT64: "FLOAT64",
    DataType.FLOAT16: "FLOAT16",
    DataType.BFLOAT16: "BFLOAT16",
    DataType.INT8: "INT8",
    DataType.UINT8: "UINT8",
    DataType.INT16: "INT16",
    DataType.UINT16: "UINT16",
    DataType.INT32: "INT32",
    DataType.UINT32: "UINT32",
    DataType.INT64: "INT64",
    DataType.UINT64: "UINT64",
    DataType.BOOL: "BOOL",
}
_COMPUTE = {
    DataType.FLOAT32: "FLOAT32",
    DataType.FLOAT64: "FLOAT64",
    DataType.INT64: "INT64",
}

_OUTER = 8  # PLUGRT_POINTWISE_MAX_OUTER
_LONGEST_BLOCK = 1024
_HEADER = struct.Struct(f"@8i{_OUTER}q2q")
_OPERAND = struct.Struct(f"@IIQii2q{_OUTER}q")
_LOOKUP = struct.Struct("@IIQIIQqii")

# Waking a team costs about a microsecond; with less work than this (ns) one thread is faster.
_PARALLEL_NANOSECONDS = 5000
_COPY_COST = 60
_CONVERT_COST = 120
_STRIDED_COST = 800

Ref = tuple[int, int]


@dataclass(frozen=True)
class PointwisePass:
    """A compiled pass: an expression for inputs and an output of fixed types, shapes, strides."""

    program: ExpressionProgram
    inputs: tuple[TensorDesc, ...]
    output: TensorDesc
    loops: Loops

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to compute."""
        return 0 in self.output.sizes

    @property
    def address(self) -> int:
        """The kernel."""
        return kernel_address(
            "plugrt_pointwise" if self._table is None else "plugrt_pointwise_lookup"
        )

    def arguments(self, inputs: Sequence[Ref], output: Ref) -> bytes:
        """The kernel's argument block for tensors at these (slot, byte offset) places."""
        if self._table is not None:
            ((slot, offset),) = [inputs[leaf.index] for leaf in self.program.leaves]
            head = (slot, 0, offset, output[0], 0, output[1])
            packed = _LOOKUP.pack(*head, prod(self.loops.sizes), self._is_parallel(_COPY_COST), 0)
            return packed + self._table
        refs = [*(inputs[leaf.index] for leaf in self.program.leaves), output]
        return self._general(refs)

    def _general(self, refs: Sequence[Ref]) -> bytes:
        program = self.program
        outer, rows, columns = _plane(self.loops.sizes, 1)
        header = _HEADER.pack(
            getattr(lib, f"PLUGRT_COMPUTE_{_COMPUTE[program.compute]}"),
            len(refs),
            len(program.constants),
            len(program.instructions),
            program.register_count,
            self._block(),
            self._is_parallel(program.cost + self._memory_cost()),
            len(self.loops.sizes) - 2 if len(self.loops.sizes) > 2 else 0,
            *outer,
            rows,
            columns,
        )
        registers = [*range(len(program.leaves)), program.output]
        operands = []
        for (slot, offset), dtype, register, strides in zip(
            refs, self._types(), registers, self.loops.strides, strict=True
        ):
            storage = getattr(lib, f"PLUGRT_STORE_{_STORAGE[dtype]}")
            steps, row_stride, column_stride = _plane(strides, 0)
            operands.append(
                _OPERAND.pack(
                    slot, 0, offset, storage, register, row_stride, column_stride, *steps
                )
            )
        return b"".join([header, *operands, program.packed])

    def _types(self) -> list[DataType]:
        leaves = [self.inputs[leaf.index].dtype for leaf in self.program.leaves]
        return [*leaves, self.output.dtype]

    def _block(self) -> int:
        """Elements per register so that all fit: a power of two."""
        item = self.program.compute.itemsize
        room = lib.PLUGRT_POINTWISE_REGISTER_BYTES // (self.program.register_count * item)
        return min(1 << (int(room).bit_length() - 1), _LONGEST_BLOCK)

    def _memory_cost(self) -> int:
        total = 0
        for dtype, strides in zip(self._types(), self.loops.strides, strict=True):
            step = strides[-1] if strides else 0
            if step not in (0, dtype.itemsize):
                total += _STRIDED_COST
            else:
                total += _COPY_COST if dtype is self.program.compute else _CONVERT_COST
        return total

    def _is_parallel(self, cost: int) -> bool:
        return prod(self.loops.sizes) * cost // 1000 >= _PARALLEL_NANOSECONDS

    @cached_property
    def _table(self) -> bytes | None:
        """The 256 results of a dense function of one 8-bit tensor, else None."""
        if self.output.dtype not in _BYTES or len(self.program.leaves) != 1:
            return None
        (leaf,) = self.program.leaves
        dtype = self.inputs[leaf.index].dtype
        dense = len(self.loops.sizes) == 1 and all(row == (1,) for row in self.loops.strides)
        if dtype not in _BYTES or not dense or not self.program.instructions:
            return None
        source = TensorDesc(dtype, (256,))
        every = PointwisePass(
            self.program,
            (source,) * (leaf.index + 1),
            TensorDesc(self.output.dtype, (256,)),
            Loops((256,), ((1,), (1,))),
        )
        table = np.empty(256, np.uint8)
        block = every._general([(0, 0), (1, 0)])
        run_kernel(
            kernel_address("plugrt_pointwise"), block, [np.arange(256, dtype=np.uint8), table]
        )
        return table.tobytes()


_BYTES = frozenset({DataType.INT8, DataType.UINT8})


def supports(
    expression: Expression,
    inputs: Sequence[TensorDesc] = (),
    output: TensorDesc | None = None,
    device: str = "cpu",
) -> bool:
    """True when `record` can run this expression on a device, for these types if given."""
    if device == "cuda":
        from .cuda import pointwise as on_gpu

        return on_gpu.supports(expression, inputs, output)
    if not extension_available():
        return False
    types = [desc.dtype for desc in inputs] + ([output.dtype] if output else [])
    if any(dtype not in _STORAGE for dtype in types):
        return False
    if len(inputs_of(expression)) >= lib.PLUGRT_POINTWISE_MAX_OPERANDS:
        return False
    try:
        compile_expression(expression, DataType.FLOAT32)
    except DeviceError:
        return False
    return True


def compile_pass(
    expression: Expression, inputs: Sequence[TensorDesc], output: TensorDesc
) -> PointwisePass:
    """The pass that stores `expression` of the inputs in the output.

    Input(i) of the expression is inputs[i], whose shape broadcasts to the output's. Constant
    inputs of one element become part of the program. Raises ShapeError when shapes do not fit,
    DeviceError for types or sizes the interpreter does not take.
    """
    require_extension()
    for desc in (*inputs, output):
        if desc.dtype not in _STORAGE:
            names = ", ".join(dtype.value for dtype in _STORAGE)
            raise DeviceError(f"pointwise passes do not take {desc.dtype.value}; cast to: {names}")
    leaves = inputs_of(expression)
    if leaves and leaves[-1].index >= len(inputs):
        raise ShapeError(f"the expression reads input {leaves[-1].index} of {len(inputs)}")
    types = {leaf.index: inputs[leaf.index].dtype for leaf in leaves}
    compute = compute_type(expression, types, output.dtype)
    known: dict[Input, Expression] = {}
    # Among integers a constant is no float64, nor x / c the same as x * (1 / c).
    fractional = compute is not DataType.INT64 and not output.dtype.is_integer
    for leaf in leaves if fractional else ():
        value = inputs[leaf.index].value
        if inputs[leaf.index].is_constant and value is not None and value.size == 1:
            known[leaf] = Constant(float(value.reshape(()).astype(np.float64)))
    # Contents are no part of a pass, and must not be kept alive by the cache.
    bare = tuple(replace(desc, value=None) for desc in inputs)
    folded = rename(expression, known) if known else expression
    return _compile(folded, compute, bare, replace(output, value=None))


@lru_cache(maxsize=4096)
def _compile(
    expression: Expression, compute: DataType, inputs: tuple[TensorDesc, ...], output: TensorDesc
) -> PointwisePass:
    program = compile_expression(expression, compute)
    operands = [Operand(inputs[leaf.index], leaf.axis) for leaf in program.leaves]
    if len(operands) >= lib.PLUGRT_POINTWISE_MAX_OPERANDS:
        raise DeviceError(
            f"a pointwise pass reads up to {lib.PLUGRT_POINTWISE_MAX_OPERANDS - 1} tensors, "
            f"not {len(operands)}; split the expression"
        )
    loops = loops_over(output, operands)
    if len(loops.sizes) > _OUTER + 2:
        raise DeviceError(f"{len(loops.sizes)} nested loops are too many; use dense tensors")
    return PointwisePass(program, inputs, output, loops)


def record(
    stream: Stream, expression: Expression, inputs: Sequence[TensorView], output: TensorView
) -> None:
    """Append the pass that stores `expression` of the inputs in the output.

    The output may be the buffer of an input of equal type, shape and strides. Raises like
    `compile_pass`.
    """
    if stream.device == "cuda":
        from .cuda import pointwise as on_gpu

        on_gpu.record(stream, expression, inputs, output)
        return
    whole = compile_pass(expression, [view.desc for view in inputs], output.desc)
    if not whole.is_empty:
        refs = [view.ref for view in inputs]
        stream.launch_raw(whole.address, whole.arguments(refs, output.ref))


def run(
    expression: Expression, inputs: Sequence[Array], output: Array, thread_count: int = 1
) -> None:
    """Evaluate now, on arrays of any strides, into `output`. Raises like `compile_pass`."""
    whole = compile_pass(expression, list(map(desc_of, inputs)), desc_of(output))
    if whole.is_empty:
        return
    slots = [*inputs, output]
    block = whole.arguments([(slot, 0) for slot in range(len(inputs))], (len(inputs), 0))
    run_kernel(whole.address, block, slots, thread_count)


def _plane(values: Sequence[int], fill: int) -> tuple[list[int], int, int]:
    """Loop values as (outer ones, row, column); absent loops have the value `fill`."""
    *outer, row, column = (*(fill,) * (2 - len(values)), *values)
    return [*outer, *[fill] * (_OUTER - len(outer))], row, column
