"""The least that a layer needs: a type, a shape rule, and an `enqueue` in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plugrt.plugins import LayerPlugin, Shape, Stream, TensorDesc


class Softsign(LayerPlugin):
    """x / (1 + |x|), computed by NumPy at every inference."""

    type = "NumpyOnly.Softsign"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] / (1 + np.abs(inputs[0]))]

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        (source,), (result,) = inputs, outputs
        np.abs(source, out=result)
        result += 1
        np.divide(source, result, out=result)
