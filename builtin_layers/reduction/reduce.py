"""The layers ReduceMean, ReduceSum and ReduceMax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ...plugins import (
    Array,
    CalibratedRange,
    Combination,
    DataType,
    Format,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from ..axes import normalize_axes
from .strided_plan import StridedPlan

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

NUMBERS = (DataType.FLOAT32, DataType.FLOAT64, DataType.INT32, DataType.INT64)


class Reduce(LayerPlugin):
    """Base: one value for all elements along `axes`. The output has the input's type.

    Types: float32, float64, int32, int64. Raises ShapeError for an axis that does not exist or
    is named twice.
    """

    type = "Reduce"
    recordable = True
    devices = ("cpu", "cuda")
    axes = attribute(tuple[int, ...], (), "axes to reduce; () means all")
    keep_dims = attribute(bool, True, "keep reduced axes with size 1")
    operation: ClassVar[str]
    """The kernel's name between plugrt_reduce_ and the type."""

    types: ClassVar[tuple[DataType, ...]] = NUMBERS

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        axes = self.reduced_axes(len(shape))
        if self.keep_dims:
            return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in axes)

    def reduced_axes(self, rank: int) -> tuple[int, ...]:
        """The axes that are reduced of a tensor of this rank, from 0 on."""
        return normalize_axes(self.type, self.axes or range(rank), rank)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if inputTypes[0] not in self.types:
            names = ", ".join(dtype.value for dtype in self.types)
            raise ShapeError(
                f"{self.type}: type {inputTypes[0].value} is not supported; use a Cast layer to "
                f"one of: {names}"
            )
        return inputTypes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        array = np.asarray(inputs[0])
        return [self.reduce(array, self.reduced_axes(array.ndim))]

    def reduce(self, array: Array, axes: tuple[int, ...]) -> Array:
        """NumPy's meaning."""
        raise NotImplementedError

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (output,) = combination.inputs, combination.outputs
        return (
            source.format in FORMATS
            and output.format in FORMATS
            and source.dtype is output.dtype
            and source.dtype in self.types
            and self.accepts_quantization(source, output)
        )

    def accepts_quantization(self, source: TensorDesc, output: TensorDesc) -> bool:
        """Whether tensors quantised like this can be reduced as they are stored."""
        return source.quantization is None and output.quantization is None

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.epilogue:
            return ()
        strided = frozenset({0})
        return (Tactic("loops", strided_outputs=strided, strided_inputs=strided),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, target = inputs[0], outputs[0]
        axes = self.reduced_axes(source.desc.rank)
        plan = StridedPlan.of(source.desc, target.desc, axes, self.keep_dims)
        if stream.device == "cuda":
            from . import reduction_cuda

            reduction_cuda.record(self.operation, plan, source, target, stream)
            return
        name = f"plugrt_reduce_{self.operation}_{source.dtype.value}"
        plan.launch(name, source, target, stream)


class ReduceSum(Reduce):
    """Sum along axes; integers wrap around. ONNX ReduceSum."""

    type = "ReduceSum"
    operation = "sum"

    def reduce(self, array: Array, axes: tuple[int, ...]) -> Array:
        total = np.sum(array, axis=axes, keepdims=self.keep_dims, dtype=_wide(array.dtype))
        return np.asarray(total).astype(array.dtype)


class ReduceMean(Reduce):
    """Mean along axes; of integers, rounded towards zero. ONNX ReduceMean."""

    type = "ReduceMean"
    operation = "mean"

    def reduce(self, array: Array, axes: tuple[int, ...]) -> Array:
        mean = np.mean(array, axis=axes, keepdims=self.keep_dims, dtype=np.float64)
        return np.asarray(mean).astype(array.dtype)

    def outputRange(self, index: int) -> RangeRule:
        # In the input's range, but as a rule in a small part of it.
        return CalibratedRange()


class ReduceMax(Reduce):
    """Maximum along axes; NaN where there is one. ONNX ReduceMax.

    Also int8 and uint8, quantised alike on both sides. The axes must not be empty.
    """

    type = "ReduceMax"
    operation = "max"
    types = (*NUMBERS, DataType.INT8, DataType.UINT8)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        for axis in self.reduced_axes(len(shape)):
            if shape[axis] == 0:
                raise ShapeError(
                    f"ReduceMax: axis {axis} of {format_shape(shape)} is empty and has no maximum"
                )
        return super().getOutputDimensions(index, inputs)

    def reduce(self, array: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.max(array, axis=axes, keepdims=self.keep_dims))

    def accepts_quantization(self, source: TensorDesc, output: TensorDesc) -> bool:
        per_tensor = source.quantization is None or source.quantization.axis is None
        return per_tensor and source.quantization == output.quantization

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)


def _wide(dtype: Any) -> Any:
    return np.float64 if np.issubdtype(dtype, np.floating) else np.int64
