"""Base class for layers that are one scalar expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .data_types import DataType
from .dims import DimLike, Shape, dim_max, format_shape
from .epilogue import Epilogue
from .errors import PluginError, ShapeError
from .expression import Apply, Expression, Input, clip, evaluate, inputs_of, rename, rounded, walk
from .layer import LayerPlugin
from .stream import Stream
from .tactics import Combination, Tactic, TacticRequest
from .tensor import TensorDesc

STEPS = frozenset({"floor", "ceil", "round", "mod", "eq"})
"""Operators that jump between neighbouring values: no use in 8 bits."""


class PointwiseLayer(LayerPlugin):
    """Define `pointwise()` and nothing else: shapes broadcast, and the layer fuses into what
    precedes it where that can, or runs with its neighbours as one vectorised pass.

        class Mish(PointwiseLayer):
            type = "Vendor.Mish"

            def pointwise(self) -> Expression:
                x = Input(0)
                return x * tanh(log(1 + exp(x)))
    """

    type = "PointwiseLayer"
    recordable = True
    devices = ("cpu", "cuda")
    acceptsPadded = False

    def pointwise(self) -> Expression:
        """The layer's expression over its inputs."""
        raise PluginError(f"{self.type} does not define pointwise()")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        vectors = {i.index: i.axis for i in inputs_of(self.pointwise()) if i.axis is not None}
        tensors = [d.shape for k, d in enumerate(inputs) if k not in vectors]
        return broadcast_shapes(tensors, self.type)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        tensors = [i.index for i in inputs_of(self.pointwise()) if i.axis is None]
        rank = max((inputs[k].ndim for k in tensors), default=0)
        return [evaluate(self.pointwise(), inputs, rank)]

    def supportsFormat(self, combination: Combination) -> bool:
        (output,) = combination.outputs
        full = [
            d for d in combination.inputs if d.rank == output.rank and d.shape == output.shape
        ]
        rest = [d for d in combination.inputs if d not in full]
        scales = [d.quantization for d in (*combination.inputs, output) if d is not None]
        if any(scale is not None and scale.axis is not None for scale in scales):
            return False
        if any(scales) and self._has_steps():
            return False
        return all(d.format is output.format for d in full) and all(
            d.format is output.format or d.format.value == "linear" for d in rest
        )

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        has_axes = any(leaf.axis is not None for leaf in inputs_of(self.pointwise()))
        return None if has_axes else self.clone()

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        from .native import pointwise

        output = request.outputs[0]
        expression = self._composed(request.epilogue, request.inputs, output)
        if not pointwise.supports(expression, request.inputs, output, request.device):
            return ()
        aliasable = frozenset(
            k for k, desc in enumerate(request.inputs)
            if desc.shape == request.outputs[0].shape and desc.dtype is request.outputs[0].dtype
        )
        return (
            Tactic(
                "expression",
                strided_outputs=frozenset({0}),
                strided_inputs=frozenset(range(len(request.inputs))),
                may_alias=aliasable,
            ),
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        from .native import pointwise

        descs = [view.desc for view in inputs]
        expression = self._composed(self.epilogue, descs, outputs[0].desc)
        pointwise.record(stream, expression, inputs, outputs[0])

    def _has_steps(self) -> bool:
        """Whether rounding an operand by a little may change the result by much."""
        nodes = walk(self.pointwise())
        return any(isinstance(node, Apply) and node.operator in STEPS for node in nodes)

    def _composed(
        self, epilogue: Epilogue, inputs: Sequence[TensorDesc], output: TensorDesc
    ) -> Expression:
        """The layer's expression with the epilogue's behind it, from stored values to stored
        values."""
        mine = self.pointwise()
        first = len(inputs) - epilogue.operands
        whole = epilogue.composed()
        shift: dict[Input, Expression] = {
            leaf: mine if leaf.index == 0 else Input(first + leaf.index - 1, leaf.axis)
            for leaf in inputs_of(whole)
        }
        return through_storage(rename(whole, shift), inputs, output)


class UnaryPointwise(PointwiseLayer):
    """A pointwise layer of one input: the output has its shape and type."""

    type = "UnaryPointwise"

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return inputTypes[0]


def through_storage(
    expression: Expression, inputs: Sequence[TensorDesc], output: TensorDesc
) -> Expression:
    """An expression over real values as one over what is stored, by the tensors' scales.

    Scales are per tensor. A function of one 8-bit tensor then runs as a table.
    """
    real: dict[Input, Expression] = {}
    for leaf in inputs_of(expression):
        scale = inputs[leaf.index].quantization
        if scale is not None:
            real[leaf] = (leaf - scale.zero_point[0]) * scale.scale[0]
    return as_stored(rename(expression, real) if real else expression, output)


def as_stored(value: Expression, output: TensorDesc) -> Expression:
    """A real value as what is to be stored of it, which storing then converts. What is too large
    for an integer saturates there; for an 8-bit float it does so here."""
    if output.quantization is None:
        return value
    scaled = value / output.quantization.scale[0]
    if output.dtype.is_float8:
        return clip(scaled, -output.dtype.largest, output.dtype.largest)
    return rounded(scaled) + output.quantization.zero_point[0]


def broadcast_shapes(shapes: Sequence[Shape], owner: str) -> Shape:
    """NumPy's broadcast of possibly symbolic shapes. Raises ShapeError naming `owner`."""
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    result: list[DimLike] = []
    for axis, dims in enumerate(zip(*padded, strict=True)):
        distinct = list(dict.fromkeys(dim for dim in dims if dim != 1))
        numbers = [dim for dim in distinct if isinstance(dim, int)]
        if len(numbers) > 1:
            text = " and ".join(format_shape(shape) for shape in shapes)
            raise ShapeError(
                f"{owner}: shapes {text} do not broadcast on axis {axis}; "
                "sizes must be equal or 1"
            )
        if numbers:
            result.append(numbers[0])
        else:
            total: DimLike = distinct[0] if distinct else 1
            for dim in distinct[1:]:
                total = dim_max(total, dim)
            result.append(total)
    return tuple(result)
