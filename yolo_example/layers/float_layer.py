"""Layers on plain float32 values."""

from __future__ import annotations

from collections.abc import Sequence

from plugrt.plugins import Combination, DataType, LayerPlugin, Tactic, TacticRequest

IN_PLACE = Tactic("native", may_alias=frozenset({0}))


class FloatLayer(LayerPlugin):
    """Float32, linear, not quantized; the output may take the input's memory."""

    recordable = True

    def supportsFormat(self, combination: Combination) -> bool:
        tensors = (*combination.inputs, *combination.outputs)
        return super().supportsFormat(combination) and all(
            t.dtype is DataType.FLOAT32 for t in tensors
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (IN_PLACE,)
