"""What happens to the outputs of our own kernels, as block_epilogue.h's struct wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...plugins import (
    BLOCK,
    DataType,
    DeviceError,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    Stream,
    TensorDesc,
    TensorView,
)
from ...plugins.expression import Apply, inputs_of, rename, walk
from ..activation import Activation, activation_of

LAYOUT = "i3fi3f" + "i4iii" + "QT" + "TTTT" + "16q"
"""struct block_epilogue in block_epilogue.h."""

OPERANDS = 4
"""EPILOGUE_OPERANDS."""

PROGRAM_BYTES = 8192
"""EPILOGUE_PROGRAM_BYTES."""

NOTHING = Activation()

CHANNELS = 1
"""The axis that vectors lie along."""


FLOATS = (DataType.FLOAT32, DataType.BFLOAT16)


@dataclass(frozen=True)
class BlockEpilogue:
    """`operands` are positions among the layer's inputs; `vector_bytes` the element sizes of those
    with one value per output channel, 0 for those with one per output. Where `program` is empty
    the outputs are activated, then the first operand is added if there is one, then they are
    activated again."""

    first: Activation = NOTHING
    second: Activation = NOTHING
    operands: tuple[int, ...] = ()
    vector_bytes: tuple[int, ...] = ()
    program: bytes = b""
    run: int = 0

    @property
    def adds_operand(self) -> bool:
        """Whether an operand is added in registers."""
        return bool(self.operands) and not self.program

    def arguments(
        self, stream: Stream, inputs: Sequence[TensorView], output: TensorView, absent: TensorView
    ) -> list[Any]:
        """The values of LAYOUT; `absent` is any tensor, for what there is none of."""
        program = absent
        if self.program:
            program = stream.store.pack(
                ("epilogue program", self.program),
                lambda: np.frombuffer(self.program, np.uint8),
            )
        operands = [inputs[position] for position in self.operands]
        missing = OPERANDS - len(operands)
        return [
            self.first.kind, self.first.parameters, self.second.kind, self.second.parameters,
            int(self.adds_operand), [*self.vector_bytes, *[0] * missing],
            output.dtype.itemsize, len(self.program), self.run, program,
            *operands, *[absent] * missing,
            [step for view in operands for step in block_strides(view.desc)],
        ]  # fmt: skip


def block_strides(desc: TensorDesc) -> tuple[int, int, int, int]:
    """Distances of images, blocks of 16 channels, rows and pixels, in elements; zeros for a
    vector."""
    if desc.rank == 1:
        return 0, 0, 0, 0
    per_image, per_channel, per_row, per_pixel = desc.element_strides
    blocked = desc.format is Format.CHANNELS_BLOCKED_16
    return per_image, per_channel * (1 if blocked else BLOCK), per_row, per_pixel


def block_epilogue(
    epilogue: Epilogue, inputs: Sequence[TensorDesc | None], output: TensorDesc,
    *, sums: bool = True,
) -> BlockEpilogue | None:
    """The epilogue for a float32 or bfloat16 output of four dimensions; None where there is no form
    for it. A program reads what was stored: of bfloat16 outputs, rounded values.

    `inputs` are all inputs of the layer, the epilogue's operands last. Without `sums` operands
    are left to a program.
    """
    first = len(inputs) - epilogue.operands
    positions = tuple(range(first, len(inputs)))
    vectors = []
    for desc in inputs[first:]:
        size = _vector_bytes(desc, output)
        if size is None:
            return None
        vectors.append(size)
    if len(positions) > OPERANDS or output.dtype not in FLOATS:
        return None
    expression = epilogue.composed()
    simple = None if any(vectors) else _activations_and_sum(expression, positions)
    if simple is not None and (sums or not simple.operands):
        return simple
    return _program(expression, inputs[first:], positions, tuple(vectors), output.dtype)


def _vector_bytes(desc: TensorDesc | None, output: TensorDesc) -> int | None:
    """The element size of an operand with one value per channel, 0 for one with a value per
    output; None if it is neither."""
    if desc is None or desc.dtype not in FLOATS or desc.quantization is not None:
        return None
    if desc.shape == output.shape:
        return 0 if desc.format is output.format and desc.dtype is output.dtype else None
    is_vector = desc.shape == output.shape[CHANNELS : CHANNELS + 1] and desc.is_dense
    return desc.dtype.itemsize if is_vector else None


def _activations_and_sum(
    expression: Expression, positions: tuple[int, ...]
) -> BlockEpilogue | None:
    """`expression` as second(first(x) + operand) or first(x)."""
    if not positions:
        only = _activation(expression, Input(0))
        return None if only is None else BlockEpilogue(only)
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
            return BlockEpilogue(first, second, positions, (0,))
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
    expression: Expression, operands: Sequence[TensorDesc | None], positions: tuple[int, ...],
    vectors: tuple[int, ...], dtype: DataType,
) -> BlockEpilogue | None:
    """Any other expression, compiled for rows, columns and channels whose sizes and strides the
    kernel fills in."""
    from ...plugins.native import pointwise

    whole = TensorDesc(dtype, (2, 2, 2), strides=(100, 10, 1))
    descs = [whole]
    for desc, size in zip(operands, vectors, strict=True):
        descs.append(TensorDesc(desc.dtype, (2,)) if size and desc is not None else whole)
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
    return BlockEpilogue(
        operands=positions, vector_bytes=vectors, program=block, run=made.address
    )
