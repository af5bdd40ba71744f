"""Concatenation: its inputs' producers write into slices of its output wherever that pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import (
    Alias,
    Array,
    Combination,
    DataType,
    LayerPlugin,
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
from plugrt.plugins.native import copying

from .arithmetic import one_type
from .symbolic_contents import from_dims, known_dims


class Concatenation(LayerPlugin):
    """Tensors of one type side by side along `axis`; any type and format. Twin of
    Concatenation."""

    type = "Twins.Concatenation"
    input_names = ("inputs*",)
    recordable = True
    devices = ("cpu", "cuda")

    axis = attribute(int, 1, "axis along which to join; negative ones count from the end")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        axis = self.axis_of(inputs)
        first = inputs[0].shape
        for desc in inputs:
            others = (*desc.shape[:axis], *desc.shape[axis + 1 :])
            if desc.rank != len(first) or others != (*first[:axis], *first[axis + 1 :]):
                raise ShapeError(
                    f"{self.type}: {format_shape(first)} and {format_shape(desc.shape)} differ "
                    f"beside axis {axis}; only that size may"
                )
        total = sum((desc.shape[axis] for desc in inputs[1:]), first[axis])
        return (*first[:axis], total, *first[axis + 1 :])

    def axis_of(self, inputs: Sequence[TensorDesc]) -> int:
        """The axis, counted from the front. Raises ShapeError when there is none."""
        if not inputs:
            raise ShapeError(f"{self.type}: there is nothing to join; give at least one input")
        rank = inputs[0].rank
        if not -rank <= self.axis < rank:
            raise ShapeError(f"{self.type}: axis {self.axis} is none of the {rank} of the inputs")
        return self.axis % rank

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return one_type(self.type, inputTypes)

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        parts = [known_dims(desc) for desc in inputs]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return from_dims(np.concatenate(known, self.axis_of(inputs)), inputs[0].dtype)

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.concatenate(inputs, self.axis)]

    def supportsFormat(self, combination: Combination) -> bool:
        (output,) = combination.outputs
        stored = (output.dtype, output.format, output.quantization)
        whole = output.quantization is None or output.quantization.axis is None
        return whole and all(
            (desc.dtype, desc.format, desc.quantization) == stored for desc in combination.inputs
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        everything = frozenset(range(len(request.inputs)))
        return (Tactic("copy", strided_outputs=frozenset({0}), strided_inputs=everything),)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        return list(self._homes(inputs))

    def _homes(self, inputs: Sequence[TensorDesc]) -> Iterator[SliceOf]:
        axis, start = self.axis_of(inputs), 0
        for index, desc in enumerate(inputs):
            yield SliceOf(index, 0, axis, start)
            start += desc.sizes[axis]

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        axis = self.axis_of([view.desc for view in inputs])
        copying.record_concat(stream, inputs, outputs[0], axis)  # those in place are left alone
