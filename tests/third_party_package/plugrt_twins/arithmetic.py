"""Sums of tensors, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    Epilogue,
    Expression,
    Format,
    Input,
    LayerNode,
    LayerPlugin,
    Patch,
    PointwiseLayer,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    broadcast_shapes,
)
from plugrt.plugins.expression import inputs_of, rename
from plugrt.plugins.native import pointwise

from .symbolic_contents import from_dims, known_dims


class Add(PointwiseLayer):
    """a + b, of one element type. Twin of Add."""

    type = "Twins.Add"
    input_names = ("a", "b")

    def pointwise(self) -> Expression:
        return Input(0) + Input(1)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return one_type(self.type, inputTypes)

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        a, b = (known_dims(desc) for desc in inputs)
        if a is None or b is None:
            return None
        return from_dims(np.asarray(a + b, object), inputs[0].dtype)


class Sum(LayerPlugin):
    """The sum of one or more tensors of one type, in one pass. Twin of Sum."""

    type = "Twins.Sum"
    input_names = ("inputs*",)
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if not inputs:
            raise ShapeError(f"{self.type}: there is nothing to add; give at least one input")
        return broadcast_shapes([desc.shape for desc in inputs], self.type)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return one_type(self.type, inputTypes)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [reduce(add, inputs)]

    def supportsFormat(self, combination: Combination) -> bool:
        (output,) = combination.outputs
        for desc in (*combination.inputs, output):
            wanted = output.format if desc.shape == output.shape else Format.LINEAR
            if desc.quantization is not None or desc.format is not wanted:
                return False
        return True

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        terms = len(request.inputs) - request.epilogue.operands
        (output,) = request.outputs
        whole = _whole(terms, request.epilogue)
        if not pointwise.supports(whole, request.inputs, output, request.device):
            return ()
        everything = range(len(request.inputs))
        alike = (
            k for k in everything
            if (request.inputs[k].shape, request.inputs[k].dtype) == (output.shape, output.dtype)
        )  # fmt: skip
        return (
            Tactic(
                "expression",
                strided_outputs=frozenset({0}),
                strided_inputs=frozenset(everything),
                may_alias=frozenset(alike),
            ),
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        terms = len(inputs) - self.epilogue.operands
        pointwise.record(stream, _whole(terms, self.epilogue), inputs, outputs[0])

    def rewrite(self, view: LayerNode) -> Patch | None:
        """A sum of two is an addition, which fuses; a sum of one is nothing."""
        inputs = [tensor for tensor in view.inputs if tensor is not None]
        patch = Patch()
        if len(inputs) == 1:
            patch.replace(view.outputs[0], inputs[0])
        elif len(inputs) == 2:
            (total,) = patch.add_layer(Add(), inputs, name=view.name)
            patch.replace(view.outputs[0], total)
        else:
            return None
        return patch


def _whole(terms: int, epilogue: Epilogue) -> Expression:
    """The sum, then the epilogue, whose operands are inputs behind the terms."""
    total: Expression = reduce(add, [Input(k) for k in range(terms)])
    behind = epilogue.composed()
    places: dict[Input, Expression] = {
        leaf: Input(terms + leaf.index - 1, leaf.axis) if leaf.index else total
        for leaf in inputs_of(behind)
    }
    return rename(behind, places)


def one_type(owner: str, types: Sequence[DataType]) -> DataType:
    """The type that all inputs have. Raises ShapeError when they differ."""
    names = list(dict.fromkeys(dtype.value for dtype in types))
    if len(names) > 1:
        raise ShapeError(
            f"{owner}: element types {' and '.join(names)} differ; convert one input with a "
            "Cast layer"
        )
    return types[0]
