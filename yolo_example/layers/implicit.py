"""The [implicit] layer: trained values that no input reaches."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from plugrt.plugins import (
    Combination,
    Format,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    format_shape,
)
from plugrt.plugins.native import copying

from .kernels import kernel


class Implicit(LayerPlugin):
    """values [any shape] and like [N, ...] -> [N, *any shape]: the values once per image.

    Only the number of images is taken from `like`. Any element type. Raises ShapeError when
    `like` has no dimension.

    Source: Wang, Yeh and Liao, You Only Learn One Representation (arXiv:2105.04206).
    """

    type = "Darknet.Implicit"
    input_names = ("values", "like")
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        values, like = inputs
        if not like.rank:
            raise ShapeError(
                f"{self.type}: {format_shape(like.shape)} does not say how many images there "
                "are; give [N, ...]"
            )
        return (like.shape[0], *values.shape)

    def supportsFormat(self, combination: Combination) -> bool:
        values, like = combination.inputs
        (output,) = combination.outputs
        return (
            values.format is like.format is output.format is Format.LINEAR
            and values.dtype is output.dtype
            and values.quantization == output.quantization
        )

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        values, output = inputs[0], outputs[0]
        if stream.device == "cuda":
            copying.record(stream, values, output)
            return
        size = prod(values.shape) * values.dtype.itemsize
        stream.launch(kernel("yolo_repeat"), values, output, output.shape[0], size)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        values, like = inputs
        return [np.broadcast_to(values, (len(like), *np.shape(values))).copy()]

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((5, 2, 1), np.float32)
        return [
            {"inputs": [values, np.zeros((3, 4, 2, 2), np.float32)], "attributes": {}},
            {"inputs": [values.astype(np.int64), np.zeros((1, 2), np.float32)], "attributes": {}},
        ]
