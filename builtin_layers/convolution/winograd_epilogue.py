"""What happens to the outputs of a Winograd convolution, as winograd.h's struct wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...plugins import (
    Array,
    DataType,
    DeviceError,
    Epilogue,
    EpilogueStep,
    Expression,
    Input,
    TensorDesc,
)
from ...plugins.expression import Apply, inputs_of, rename, walk
from ..activation import Activation, activation_of

OPERANDS = 4
"""WINOGRAD_OPERANDS."""

PROGRAM_BYTES = 8192
"""WINOGRAD_PROGRAM_BYTES."""

NOTHING = Activation()

CHANNELS = 1
"""The axis that vectors lie along."""


@dataclass(frozen=True)
class WinogradEpilogue:
    """`operands` are positions among the layer's inputs, vectors those with one value per output
    channel. Where `program` is empty the outputs are activated, then the first operand is added
    if there is one, then they are activated again."""

    first: Activation = NOTHING
    second: Activation = NOTHING
    operands: tuple[int, ...] = ()
    vectors: tuple[bool, ...] = ()
    program: bytes = b""
    run: int = 0


def winograd_epilogue(
    epilogue: Epilogue, inputs: Sequence[TensorDesc | None], output: TensorDesc
) -> WinogradEpilogue | None:
    """The epilogue for a float32 output; None where there is no form for it.

    `inputs` are all inputs of the layer, the epilogue's operands last.
    """
    first = len(inputs) - epilogue.operands
    positions = tuple(range(first, len(inputs)))
    vectors = []
    for desc in inputs[first:]:
        kind = _is_vector(desc, output)
        if kind is None:
            return None
        vectors.append(kind)
    if len(positions) > OPERANDS:
        return None
    expression = epilogue.composed()
    simple = None if any(vectors) else _activations_and_sum(expression, positions)
    return simple or _program(expression, positions, tuple(vectors))


def _is_vector(desc: TensorDesc | None, output: TensorDesc) -> bool | None:
    """Whether an operand has one value per channel (else one per output); None if neither."""
    if desc is None or desc.dtype is not DataType.FLOAT32 or desc.quantization is not None:
        return None
    if desc.shape == output.shape:
        return False if desc.format is output.format else None
    return True if desc.shape == output.shape[CHANNELS : CHANNELS + 1] and desc.is_dense else None


def _activations_and_sum(
    expression: Expression, positions: tuple[int, ...]
) -> WinogradEpilogue | None:
    """`expression` as second(first(x) + operand) or first(x)."""
    if not positions:
        only = _activation(expression, Input(0))
        return None if only is None else WinogradEpilogue(only)
    if len(positions) > 1:
        return None
    operand = Input(1)
    for node in walk(expression):
        if not isinstance(node, Apply) or node.operator != "add" or operand not in node.operands:
            continue
        (inner, *more) = [part for part in node.operands if part != operand] or [operand]
        outer = _with_leaf(expression, node, operand)
        if more or inputs_of(inner) != (Input(0),) or inputs_of(outer) != (operand,):
            continue
        first, second = _activation(inner, Input(0)), _activation(outer, operand)
        if first is not None and second is not None:
            return WinogradEpilogue(first, second, positions, (False,))
    return None


def _activation(expression: Expression, value: Input) -> Activation | None:
    """The activation that `expression` applies to `value`."""
    if expression == value:
        return NOTHING
    return activation_of(Epilogue((EpilogueStep(rename(expression, {value: Input(0)})),)))


def _with_leaf(expression: Expression, node: Expression, leaf: Input) -> Expression:
    """`expression` with a leaf in the place of one of its nodes."""
    if expression == node:
        return leaf
    if isinstance(expression, Apply):
        parts = tuple(_with_leaf(part, node, leaf) for part in expression.operands)
        return Apply(expression.operator, parts)
    return expression


def _program(
    expression: Expression, positions: tuple[int, ...], vectors: tuple[bool, ...]
) -> WinogradEpilogue | None:
    """Any other expression, compiled for rows, columns and channels whose sizes and strides the
    kernel fills in."""
    from ...plugins.native import pointwise

    whole = TensorDesc(DataType.FLOAT32, (2, 2, 2), strides=(100, 10, 1))
    channels = TensorDesc(DataType.FLOAT32, (2,))
    descs = [whole, *(channels if vector else whole for vector in vectors)]
    moved: dict[Input, Expression] = {}
    for leaf in inputs_of(expression):
        wanted = CHANNELS if leaf.index > 0 and vectors[leaf.index - 1] else None
        if leaf.axis != wanted:
            return None
        if wanted is not None:
            moved[leaf] = Input(leaf.index, axis=whole.rank - 1)
    if not pointwise.supports(expression, descs, whole):
        return None
    try:
        made = pointwise.compile_pass(rename(expression, moved), descs, whole)
    except DeviceError:
        return None
    refs = [(slot, 0) for slot in range(len(descs))]
    block = made.arguments(refs, (OPERANDS + 1, 0))
    if len(made.loops.sizes) != whole.rank or len(block) > PROGRAM_BYTES:
        return None
    return WinogradEpilogue(operands=positions, vectors=vectors, program=block, run=made.address)


def program_array(epilogue: WinogradEpilogue) -> Array:
    """The program as an array, of at least one byte."""
    return np.frombuffer(epilogue.program or b"\0", np.uint8)
