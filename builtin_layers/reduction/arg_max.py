"""The layer ArgMax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plugins import (
    Combination,
    DataType,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from ..axes import normalize_axis
from .reduce import FORMATS, NUMBERS
from .strided_plan import StridedPlan

TYPES = (*NUMBERS, DataType.INT8, DataType.UINT8)


class ArgMax(LayerPlugin):
    """Index (int64) of the first maximum along `axis`; of the first NaN where there is one.

    ONNX ArgMax (select_last_index 0). Types: float32, float64, int32, int64, int8, uint8;
    quantised tensors are compared as they are stored.
    """

    type = "ArgMax"
    recordable = True
    devices = ("cpu", "cuda")
    axis = attribute(int, 1, "axis to search")
    keep_dims = attribute(bool, True, "keep the axis with size 1")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        axis = normalize_axis(self.type, self.axis, len(shape))
        if shape[axis] == 0:
            raise ShapeError(
                f"ArgMax: axis {axis} of {format_shape(shape)} is empty and has no maximum"
            )
        return (*shape[:axis], *((1,) if self.keep_dims else ()), *shape[axis + 1 :])

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[0] not in TYPES:
            names = ", ".join(dtype.value for dtype in TYPES)
            raise ShapeError(
                f"ArgMax: type {inputTypes[0].value} is not supported; use a Cast layer to one "
                f"of: {names}"
            )
        return DataType.INT64

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        found = np.argmax(inputs[0], axis=self.axis, keepdims=self.keep_dims)
        return [np.asarray(found, np.int64)]

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (output,) = combination.inputs, combination.outputs
        per_tensor = source.quantization is None or source.quantization.axis is None
        formats = source.format in FORMATS and output.format in FORMATS
        return formats and per_tensor and source.dtype in TYPES

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        strided = frozenset({0})
        return (Tactic("loops", strided_outputs=strided, strided_inputs=strided),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, target = inputs[0], outputs[0]
        axis = normalize_axis(self.type, self.axis, source.desc.rank)
        plan = StridedPlan.of(source.desc, target.desc, {axis}, self.keep_dims)
        if stream.device == "cuda":
            from . import reduction_cuda

            reduction_cuda.record("arg_max", plan, source, target, stream)
            return
        plan.launch(f"plugrt_arg_max_{source.dtype.value}", source, target, stream)
