"""Sum of any number of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from ..plugins import (
    AnyTensor,
    Combination,
    DataType,
    Epilogue,
    Expression,
    Format,
    Input,
    LayerNode,
    LayerPlugin,
    Patch,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    broadcast_shapes,
)
from ..plugins.expression import inputs_of, rename
from ..plugins.native import pointwise
from .arithmetic import Add, common_type


class Sum(LayerPlugin):
    """The sum of one or more inputs of one type, with NumPy's broadcasting. ONNX Sum.

    One pass over all inputs. It has no `pointwise()`, as the number of terms is not an
    attribute: a sum of two becomes an Add, which fuses into its producer.
    """

    type = "Sum"
    input_names = ("inputs*",)
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if not inputs:
            raise ShapeError("Sum: there are no inputs; give at least one")
        return broadcast_shapes([desc.shape for desc in inputs], self.type)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return common_type(self.type, inputTypes)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [reduce(add, inputs)]

    def supportsFormat(self, combination: Combination) -> bool:
        (output,) = combination.outputs
        if any(desc.quantization for desc in (*combination.inputs, output)):
            return False
        return all(
            desc.format is (output.format if desc.shape == output.shape else Format.LINEAR)
            for desc in combination.inputs
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        terms = len(request.inputs) - request.epilogue.operands
        output = request.outputs[0]
        expression = sum_expression(terms, request.epilogue)
        if not pointwise.supports(expression, request.inputs, output, request.device):
            return ()
        return (
            Tactic(
                "expression",
                strided_outputs=frozenset({0}),
                strided_inputs=frozenset(range(len(request.inputs))),
                may_alias=frozenset(
                    k for k, desc in enumerate(request.inputs)
                    if desc.shape == output.shape and desc.dtype is output.dtype
                ),
            ),
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        terms = len(inputs) - self.epilogue.operands
        expression = sum_expression(terms, self.epilogue)
        pointwise.record(stream, expression, inputs, outputs[0])

    def rewrite(self, view: LayerNode) -> Patch | None:
        if len(view.inputs) == 2:
            patch = Patch()
            (result,) = patch.add_layer(Add(), view.inputs, view.name)
            patch.replace(view.outputs[0], result)
            return patch
        if len(view.inputs) != 1 or view.inputs[0] is None or view.outputs[0].is_output:
            return None
        patch = Patch()
        patch.replace(view.outputs[0], view.inputs[0])
        return patch

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        """Several terms one after the other: each sum can then end what computes its term."""
        if len(view.inputs) < 3 or any(
            node is None or node.desc.shape != view.outputs[0].desc.shape for node in view.inputs
        ):
            return ()
        patch = Patch()
        total: AnyTensor | None = view.inputs[0]
        for number, term in enumerate(view.inputs[1:], 1):
            last = number == len(view.inputs) - 1
            name = view.name if last else f"{view.name}.{number}"
            (total,) = patch.add_layer(Add(), [total, term], name)
        if total is not None:
            patch.replace(view.outputs[0], total)
        return (patch,)


def sum_expression(terms: int, epilogue: Epilogue) -> Expression:
    """Input(0) + Input(1) + ... with the epilogue behind it; its operands follow the terms."""
    total: Expression = reduce(add, [Input(k) for k in range(terms)])
    whole = epilogue.composed()
    return rename(
        whole,
        {
            leaf: total if leaf.index == 0 else Input(terms + leaf.index - 1, leaf.axis)
            for leaf in inputs_of(whole)
        },
    )
