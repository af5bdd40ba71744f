"""Epilogues and scratch memory of oneDNN primitives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from plugrt.plugins import (
    ALIGNMENT,
    Array,
    DeviceError,
    Epilogue,
    Expression,
    Format,
    Input,
    Stream,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.expression import inputs_of, rename
from plugrt.plugins.native import cpu, extension_available, onednn

SLOW = ("gemm:jit", "gemm_s8u8s32", "simple_", "sse41")
"""Parts of the names of implementations that only serve where there are no others."""

EXACT = ("vnni", "amx")
"""Parts of the names of 8-bit implementations that sum in 32 bits; others may saturate."""

Describe = Callable[[TensorDesc, "int | None"], onednn.MemoryDesc]


@dataclass(frozen=True)
class PostOps:
    """Post-ops, and (argument, input position) of every tensor that they read."""

    operations: tuple[onednn.PostOp, ...] = ()
    reads: tuple[tuple[int, int], ...] = ()


def post_ops(
    epilogue: Epilogue,
    inputs: Sequence[TensorDesc],
    output: TensorDesc,
    *,
    describe: Describe | None = None,
    held: int | None = None,
) -> PostOps | None:
    """`epilogue` behind a primitive that writes `output`; None where oneDNN cannot.

    `inputs` end with the epilogue's operands, and `describe` tells how the primitive sees one.
    Input `held` is in the output's buffer before the primitive runs.
    """
    if not epilogue:
        return PostOps()
    first = len(inputs) - epilogue.operands
    expression = _dequantised(epilogue.composed(), inputs[first:])
    see = describe or (lambda desc, axis: seen_by(output, desc, axis))
    accumulates = None if held is None else held - first + 1
    descs = {}
    try:
        for leaf in inputs_of(expression):
            if leaf.index not in (0, accumulates):
                descs[leaf] = see(inputs[first + leaf.index - 1], leaf.axis)
    except DeviceError:
        return None
    other_type = None if held is None or inputs[held].dtype is output.dtype else inputs[held].dtype
    matched = onednn.post_ops_for(
        expression, descs, accumulates=accumulates, accumulated_dtype=other_type
    )
    if matched is None:
        return None
    if held is not None and not any(isinstance(op, onednn.Sum) for op in matched.post_ops):
        return None
    reads = tuple((argument, first + leaf.index - 1) for argument, leaf in matched.bindings())
    return PostOps(matched.post_ops, reads)


def seen_by(output: TensorDesc, desc: TensorDesc, axis: int | None) -> onednn.MemoryDesc:
    """An operand in the output's rank; with `axis` a vector along it. Raises DeviceError."""
    if desc.shape == output.shape:
        return onednn.MemoryDesc.of(desc)
    if desc.format is not Format.LINEAR or not desc.is_dense:
        raise DeviceError(f"oneDNN cannot broadcast {desc} unless it is dense and linear")
    behind = 0 if axis is None else output.rank - axis - 1
    before = output.rank - desc.rank - behind
    dims = (1,) * before + desc.sizes + (1,) * behind
    return onednn.MemoryDesc.dense(dims or (1,), desc.dtype)


def _dequantised(expression: Expression, operands: Sequence[TensorDesc]) -> Expression:
    """The expression on the values that quantised operands stand for."""
    values: dict[Input, Expression] = {}
    for leaf in inputs_of(expression):
        stored = operands[leaf.index - 1].quantization if leaf.index else None
        if stored is not None and stored.axis is None:
            values[leaf] = (leaf - stored.zero_point[0]) * stored.scale[0]
    return rename(expression, values)


def worth_trying(found: list[onednn.Primitive]) -> list[onednn.Primitive]:
    """Without implementations that are slow or, in 8 bits, may saturate, if there are others."""
    exact = [p for p in found if any(name in p.implementation for name in EXACT)] or found
    return [p for p in exact if not any(name in p.implementation for name in SLOW)] or exact[:1]


def rank_of(primitive: onednn.Primitive) -> int:
    """The priority of its tactic: slow ones give way where nothing is measured."""
    return -2 if any(name in primitive.implementation for name in SLOW) else 0


def planned_threads() -> int:
    """The team to size workspaces for; `getWorkspaceSize` does not know the stream's."""
    return cpu.get_num_threads() if extension_available() else 1


def scratch_size(primitives: Iterable[onednn.Primitive]) -> int:
    """Bytes of workspace that are enough for each of the primitives."""
    return max((primitive.scratchpad_bytes for primitive in primitives), default=0)


def scratch(
    primitive: onednn.Primitive, workspace: TensorView | None, stream: Stream
) -> dict[int, onednn.Binding]:
    """The primitive's scratchpad: the workspace or, planned for other threads and too small,
    memory that the recording keeps."""
    needed = primitive.scratchpad_bytes
    if not needed:
        return {}
    if workspace is not None and workspace.desc.nbytes >= needed:
        return {onednn.Argument.SCRATCHPAD: workspace}
    own: Array = np.empty(needed + ALIGNMENT, np.uint8)
    aligned = own[-own.ctypes.data % ALIGNMENT :][:needed]
    stream.keep(aligned)
    return {onednn.Argument.SCRATCHPAD: aligned}
