"""An epilogue as post-ops of a oneDNN primitive, with what they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..plugins import DeviceError, Epilogue, Expression, Format, Input, TensorDesc, TensorView
from ..plugins.expression import inputs_of, rename

if TYPE_CHECKING:
    from ..plugins.native.onednn import MemoryDesc, PostOp

Describe = Callable[[TensorDesc, "int | None"], "MemoryDesc"]
"""An operand as the primitive is to see it; with an axis it is a vector along that axis."""


@dataclass(frozen=True)
class FusedEpilogue:
    """Post-ops, and for each argument they add the position of the input it reads."""

    post_ops: tuple[PostOp, ...] = ()
    arguments: tuple[tuple[int, int], ...] = ()

    def bindings(self, inputs: Sequence[TensorView]) -> Mapping[int, TensorView]:
        """The arguments with the layer's recorded inputs."""
        return {argument: inputs[position] for argument, position in self.arguments}


def fuse(
    epilogue: Epilogue,
    inputs: Sequence[TensorDesc | None],
    output: TensorDesc,
    *,
    describe: Describe | None = None,
    accumulates: int | None = None,
) -> FusedEpilogue | None:
    """`epilogue` for a primitive whose destination is `output`; None where oneDNN has no form.

    `inputs` are all inputs of the layer, the epilogue's operands last. Input `accumulates` lies
    in the output's buffer when the primitive starts.
    """
    from ..plugins.native import onednn

    if not epilogue:
        return FusedEpilogue()
    first = len(inputs) - epilogue.operands
    operands = _operands(epilogue, inputs)
    expression = _in_real_values(epilogue.composed(), operands)
    describe = describe or (lambda desc, axis: describe_operand(desc, axis, output))
    held = None if accumulates is None else accumulates - first + 1
    descs = {}
    try:
        for leaf in inputs_of(expression):
            if leaf.index not in (0, held):
                descs[leaf] = describe(operands[leaf.index - 1], leaf.axis)
    except DeviceError:  # a type or a slice that oneDNN cannot describe
        return None
    dtype = None if held is None else operands[held - 1].dtype
    matched = onednn.post_ops_for(
        expression, descs, accumulates=held,
        accumulated_dtype=None if dtype is output.dtype else dtype,
    )  # fmt: skip
    if matched is None:
        return None
    if held is not None and not any(isinstance(op, onednn.Sum) for op in matched.post_ops):
        return None
    arguments = tuple(
        (argument, first + leaf.index - 1) for argument, leaf in matched.bindings()
    )
    return FusedEpilogue(matched.post_ops, arguments)


def accumulable(
    epilogue: Epilogue, inputs: Sequence[TensorDesc | None], output: TensorDesc
) -> list[int]:
    """Positions of the operands that could lie in the output's buffer: of its shape and format."""
    first = len(inputs) - epilogue.operands
    return [
        position
        for position, desc in enumerate(_operands(epilogue, inputs), first)
        if desc.shape == output.shape
        and desc.format is output.format
        and desc.dtype.itemsize == output.dtype.itemsize
        and not desc.is_constant
    ]


def describe_operand(desc: TensorDesc, axis: int | None, output: TensorDesc) -> MemoryDesc:
    """An operand with the output's rank, dims 1 where it broadcasts. Raises DeviceError."""
    from ..plugins.native.onednn import MemoryDesc

    if desc.shape == output.shape and desc.format is output.format:
        return MemoryDesc.of(desc)
    if desc.format is not Format.LINEAR or not desc.is_dense:
        raise DeviceError(f"the broadcast operand {desc} is not dense")
    if axis is None:
        dims = (1,) * (output.rank - desc.rank) + desc.sizes
    else:
        dims = (1,) * axis + desc.sizes + (1,) * (output.rank - axis - 1)
    if dims == output.sizes and output.format is not Format.LINEAR:
        # oneDNN's pooling would read it in the output's order.
        raise DeviceError(f"the operand {desc} is not in the output's format")
    return MemoryDesc.dense(dims or (1,), desc.dtype)


def _operands(epilogue: Epilogue, inputs: Sequence[TensorDesc | None]) -> list[TensorDesc]:
    last = inputs[len(inputs) - epilogue.operands :]
    return [desc for desc in last if desc is not None]


def _in_real_values(expression: Expression, operands: Sequence[TensorDesc]) -> Expression:
    """The expression with quantised operands brought to the values they stand for."""
    real: dict[Input, Expression] = {}
    for leaf in inputs_of(expression):
        quantization = operands[leaf.index - 1].quantization if leaf.index else None
        if quantization is not None and quantization.axis is None:
            (scale,), (zero,) = quantization.scale, quantization.zero_point
            real[leaf] = (leaf - zero) * scale
    return rename(expression, real) if real else expression
