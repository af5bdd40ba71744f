"""Concatenation along an axis; where the network allows, inputs are written in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Alias,
    Array,
    Combination,
    DimLike,
    Format,
    LayerNode,
    LayerPlugin,
    Patch,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    SliceOf,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from .axes import normalize_axis
from .function_before_join import function_before_join
from .pieces import Joining, merged_join
from .shape_arithmetic import from_dims, known_dims


class Concatenation(LayerPlugin, Joining):
    """Inputs side by side along `axis`: [..., A1, ...], [..., A2, ...] -> [..., A1 + A2, ...].

    Any type; 8 bits where all scales are equal. In blocked formats every input has whole blocks
    of channels. ONNX Concat, Caffe Concat, Darknet route. Raises ShapeError when other sizes
    differ.
    """

    type = "Concatenation"
    input_names = ("inputs*",)
    recordable = True
    devices = ("cpu", "cuda")

    axis = attribute(int, 1, "the dimension along which sizes add up")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if not inputs:
            raise ShapeError("Concatenation: there are no inputs; give at least one")
        first = inputs[0].shape
        axis = normalize_axis(self.type, self.axis, len(first))
        total: DimLike = 0
        for desc in inputs:
            same = len(desc.shape) == len(first) and all(
                mine == wanted
                for k, (mine, wanted) in enumerate(zip(desc.shape, first, strict=True))
                if k != axis
            )
            if not same or desc.dtype is not inputs[0].dtype:
                raise ShapeError(
                    f"Concatenation: {desc} does not fit beside {inputs[0]} on axis {axis}; "
                    "types and all other sizes must be equal "
                    f"({format_shape(desc.shape)} against {format_shape(first)})"
                )
            total = total + desc.shape[axis]
        return (*first[:axis], total, *first[axis + 1 :])

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        known = [known_dims(desc) for desc in inputs]
        values = [dims for dims in known if dims is not None]
        if len(values) < len(known):
            return None
        return from_dims(np.concatenate(values, self.axis), inputs[0].dtype)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.concatenate(inputs, self.axis)]

    def supportsFormat(self, combination: Combination) -> bool:
        (output,) = combination.outputs
        if output.quantization is not None and output.quantization.axis is not None:
            return False
        return all(
            (desc.format, desc.dtype, desc.quantization)
            == (output.format, output.dtype, output.quantization)
            for desc in combination.inputs
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        from ..plugins.native import copying

        if request.epilogue or not copying.available():
            return ()
        everything = frozenset(range(len(request.inputs)))
        return (Tactic("copy", strided_inputs=everything, strided_outputs=frozenset({0})),)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        axis = normalize_axis(self.type, self.axis, outputs[0].rank)
        blocked = axis == 1 and outputs[0].format is Format.CHANNELS_BLOCKED_16
        offers = []
        start = 0
        for index, desc in enumerate(inputs):
            size = desc.sizes[axis]
            if not blocked or Format.CHANNELS_BLOCKED_16.accepts(desc.shape):
                offers.append(SliceOf(index, 0, axis, start))
            start += size
        return offers

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def joined_axis(self, rank: int) -> int:
        return normalize_axis(self.type, self.axis, rank)

    def rewrite(self, view: LayerNode) -> Patch | None:
        if len(view.inputs) != 1 or view.inputs[0] is None or view.outputs[0].is_output:
            return merged_join(view, self.clone)
        patch = Patch()
        patch.replace(view.outputs[0], view.inputs[0])
        return patch

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        return function_before_join(view, self.clone())

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        return self.clone(axis=list(order).index(normalize_axis(self.type, self.axis, len(order))))

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        from ..plugins.native import copying

        axis = normalize_axis(self.type, self.axis, outputs[0].desc.rank)
        copying.record_concat(stream, inputs, outputs[0], axis)
