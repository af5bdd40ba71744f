"""Shape: the sizes of a tensor as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Array,
    Combination,
    DataType,
    Format,
    LayerPlugin,
    Stream,
    TensorDesc,
)
from ..plugins import (
    Shape as ShapeOfTensor,
)
from ..plugins.native import copying
from .shape_arithmetic import from_dims


class Shape(LayerPlugin):
    """The sizes of the input: int64 [rank]. ONNX Shape (start and end by Slice).

    The input may have any type, format and quantization; its elements are not read.
    """

    type = "Shape"
    recordable = True
    devices = ("cpu", "cuda")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> ShapeOfTensor:
        return (inputs[0].rank,)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.INT64

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        dims = np.empty(inputs[0].rank, object)
        dims[:] = inputs[0].shape
        return from_dims(dims, DataType.INT64)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.array(np.shape(inputs[0]), np.int64)]

    def supportsFormat(self, combination: Combination) -> bool:
        return combination.outputs[0].format is Format.LINEAR

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        sizes = inputs[0].shape
        constant = stream.store.pack(
            ("plugrt.Shape", sizes), lambda: np.array(sizes, np.int64)
        )
        copying.record(stream, constant, outputs[0])
