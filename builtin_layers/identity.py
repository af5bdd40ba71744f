"""Identity: the input under another name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Alias,
    Array,
    Format,
    LayerNode,
    Patch,
    Shape,
    Stream,
    TensorDesc,
    ViewOf,
)
from ..plugins.native import copying
from .data_movement import DataMovement, is_in_place


class Identity(DataMovement):
    """The input, unchanged: any shape, type and format. ONNX Identity.

    It disappears when the network is simplified, unless it copies an input to an output.
    """

    type = "Identity"
    acceptsPadded = True
    formats = tuple(Format)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(inputs[0].shape)

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        return inputs[0].value

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.asarray(inputs[0])]

    def moves(self, source: TensorDesc, output: TensorDesc) -> bool:
        return super().moves(source, output) and source.format is output.format

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        same = inputs[0].format is outputs[0].format
        return (ViewOf(0, 0),) if same and inputs[0].is_dense and outputs[0].is_dense else ()

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if not is_in_place(inputs[0], outputs[0]):
            copying.record(stream, inputs[0], outputs[0])

    def rewrite(self, view: LayerNode) -> Patch | None:
        source = view.inputs[0]
        if source is None or view.outputs[0].is_output:
            return None
        patch = Patch()
        patch.replace(view.outputs[0], source)
        return patch
