"""The layer Gather."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ...plugins import (
    Array,
    Combination,
    DataType,
    Format,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    attribute,
)
from ..axes import normalize_axis
from ..data_movement import DataMovement
from ..kernels import kernel
from ..shape_arithmetic import from_dims, known_dims


class Gather(DataMovement):
    """numpy.take(input, indices, axis): ONNX Gather.

    input [a..., X, b...], indices int32 or int64 of any shape [i...] -> [a..., i..., b...].
    Indices below zero count from the end; one outside of the axis stops the inference with an
    error, and on a GPU gives zeros.
    """

    type = "Gather"
    input_names = ("input", "indices")
    strided = False
    axis = attribute(int, 0, "axis that the indices count along")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        axis = normalize_axis(self.type, self.axis, len(shape))
        return (*shape[:axis], *inputs[1].shape, *shape[axis + 1 :])

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[1] not in (DataType.INT32, DataType.INT64):
            raise ShapeError(
                f"Gather: indices have type {inputTypes[1].value}; convert them to int64 with a "
                "Cast layer"
            )
        return inputTypes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [np.take(inputs[0], inputs[1], self.axis)]

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        dims, indices = known_dims(inputs[0]), inputs[1]
        if dims is None or not indices.is_constant:
            return None
        taken = np.empty(indices.sizes, object)
        taken[...] = np.take(dims, np.asarray(indices.value), self.axis)
        return from_dims(taken, inputs[0].dtype)

    def supportsFormat(self, combination: Combination) -> bool:
        indices = combination.inputs[1]
        return (
            indices.quantization is None
            and indices.format is Format.LINEAR
            and super().supportsFormat(combination)
        )

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        data, indices = inputs
        shape = data.shape
        axis = normalize_axis(self.type, self.axis, len(shape))
        if stream.device == "cuda":
            from . import gather_cuda

            gather_cuda.record(data, indices, outputs[0], axis, stream)
            return
        stream.launch(
            kernel("plugrt_gather", "TTTqqqqI"),
            data,
            indices,
            outputs[0],
            prod(shape[:axis]),
            shape[axis],
            prod(indices.shape),
            prod(shape[axis + 1 :]) * data.dtype.itemsize,
            indices.dtype.itemsize,
        )
