"""The layers that a build inserts by role: between types and scales, formats, and buffers.

They have no attributes: each converts from the description of its input to that of its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Combination,
    DataType,
    Expression,
    Input,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
)
from ..plugins.expression import rounded
from ..plugins.native import copying, pointwise

ANY_STRIDES = frozenset({0})


class Conversion(LayerPlugin):
    """Base: one input, one output of its shape."""

    type = "Conversion"
    recordable = True

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(inputs[0].shape)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.array(inputs[0])]

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        return (Tactic("pass", strided_outputs=ANY_STRIDES, strided_inputs=ANY_STRIDES),)

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)


class ConvertType(Conversion):
    """Between element types and per-tensor scales: round half to even, saturate."""

    type = "ConvertType"
    role = "cast"

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (result,) = combination.inputs, combination.outputs
        scales = (source.quantization, result.quantization)
        return source.format is result.format and all(
            scale is None or scale.axis is None for scale in scales
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        expression = conversion(inputs[0].desc, outputs[0].desc)
        pointwise.record(stream, expression, inputs, outputs[0])


class Reformat(Conversion):
    """Between memory formats."""

    type = "Reformat"
    role = "reformat"

    def supportsFormat(self, combination: Combination) -> bool:
        return _only_moves(combination)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        copying.record(stream, inputs[0], outputs[0])


class Copy(Conversion):
    """Between buffers; gaps in the input are closed."""

    type = "Copy"
    role = "copy"

    def supportsFormat(self, combination: Combination) -> bool:
        same = combination.inputs[0].format is combination.outputs[0].format
        return same and _only_moves(combination)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        copying.record(stream, inputs[0], outputs[0])


def conversion(source: TensorDesc, result: TensorDesc) -> Expression:
    """The stored value of `result` from the stored value of `source`."""
    value: Expression = Input(0)
    if source.quantization is not None:
        value = (value - source.quantization.zero_point[0]) * source.quantization.scale[0]
    if result.quantization is not None:
        value = value / result.quantization.scale[0]
        value = rounded(value) + result.quantization.zero_point[0]
    elif result.dtype is DataType.BOOL:
        value = 1 - _is_zero(value)
    return value


def _is_zero(value: Expression) -> Expression:
    from ..plugins.expression import equal

    return equal(value, 0)


def _only_moves(combination: Combination) -> bool:
    source, result = combination.inputs[0], combination.outputs[0]
    return source.dtype is result.dtype and source.quantization == result.quantization
