"""The layers that the core inserts to move a tensor: Copy and Reformat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plugins import (
    Combination,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
)


class TensorCopy(LayerPlugin):
    """Base: the same elements in other memory; any type, format and strides on either side."""

    type = "TensorCopy"
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0].copy()]

    def supportsFormat(self, combination: Combination) -> bool:
        source, output = combination.inputs[0], combination.outputs[0]
        return source.dtype is output.dtype and source.quantization == output.quantization

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        from ..plugins.native import copying

        if request.epilogue or not copying.available():
            return ()
        return (
            Tactic("copy", strided_inputs=frozenset({0}), strided_outputs=frozenset({0})),
        )

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        from ..plugins.native import copying

        copying.record(stream, inputs[0], outputs[0])


class Copy(TensorCopy):
    """A tensor in memory of its own: [any shape] -> the same. The core's role `copy`; with
    data-dependent sizes it compacts."""

    type = "Copy"
    role = "copy"


class Reformat(TensorCopy):
    """A tensor in another memory format: [any shape] -> the same. The core's role `reformat`."""

    type = "Reformat"
    role = "reformat"
