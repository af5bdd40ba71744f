"""Quantize and Dequantize: between real values and 8-bit integers or floats, by scales in
attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    Array,
    DataType,
    Expression,
    Input,
    LayerAttributeError,
    Shape,
    ShapeError,
    TensorDesc,
    attribute,
)
from .axes import normalize_axis
from .conversion import ElementConversion, stored

EIGHT_BIT_FLOATS = (DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2)


class ScaledConversion(ElementConversion):
    """Base: real = (stored - zero_point) * scale, with one scale or one per index of an axis."""

    type = "ScaledConversion"

    scale: attribute[tuple[float, ...]] = attribute(
        tuple[float, ...], doc="what one step is worth",
        allowed=lambda scale: len(scale) > 0 and all(s > 0 for s in scale),
        rule="one or more numbers above zero",
    )  # fmt: skip
    zero_point = attribute(
        tuple[int, ...], (0,), "the integer that stands for 0: one, or one per scale"
    )
    axis = attribute(int, -1, "the dimension that several scales belong to")
    dtype = attribute(
        DataType, DataType.INT8, "the stored type",
        allowed=(DataType.INT8, DataType.UINT8, *EIGHT_BIT_FLOATS),
    )  # fmt: skip

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        if len(self.zero_point) not in (1, len(self.scale)):
            raise LayerAttributeError(
                f"{self.type}: attribute zero_point={self.zero_point} does not fit "
                f"{len(self.scale)} scales; give one, or as many as scales"
            )
        if self.dtype.is_float and any(self.zero_point):
            raise LayerAttributeError(
                f"{self.type}: attribute zero_point={self.zero_point} does not fit dtype="
                f"{self.dtype.value}, whose numbers lie around 0; leave it out"
            )

    def function(self, scale: Any, zero_point: Any) -> Expression:
        """The conversion of Input(0) for numbers, or for vectors along the axis."""
        raise NotImplementedError

    def pointwise(self) -> Expression | None:
        several = len(self.scale) > 1
        return None if several else self.function(self.scale[0], self.zero_point[0])

    def conversion(self, source: TensorDesc, output: TensorDesc) -> Expression:
        axis = normalize_axis(self.type, self.axis, source.rank) if len(self.scale) > 1 else 0
        return self.pointwise() or self.function(Input(1, axis), Input(2, axis))

    def parameters(self) -> tuple[Array, ...]:
        if len(self.scale) == 1:
            return ()
        zero_points = np.broadcast_to(np.array(self.zero_point, np.float32), len(self.scale))
        return np.array(self.scale, np.float32), np.ascontiguousarray(zero_points)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(self.scale) > 1:
            axis = normalize_axis(self.type, self.axis, len(shape))
            if shape[axis] != len(self.scale):
                raise ShapeError(
                    f"{self.type}: {len(self.scale)} scales do not fit axis {axis} of size "
                    f"{shape[axis]}; give one scale, or one per index"
                )
        return shape

    def aligned(self, rank: int) -> tuple[Array, Array]:
        """Scales and zero points, shaped to broadcast along the axis of a tensor of this rank."""
        shape = [1] * rank
        if len(self.scale) > 1:
            shape[normalize_axis(self.type, self.axis, rank)] = -1
        scale = np.array(self.scale, np.float64)
        zero_point = np.broadcast_to(np.array(self.zero_point), scale.shape)
        return scale.reshape(shape), zero_point.reshape(shape)


class Quantize(ScaledConversion):
    """round(x / scale) + zero_point, half to even, saturating: float [any shape] -> int8 or uint8
    of the same shape; or x / scale, saturating, as an 8-bit float. ONNX QuantizeLinear.

    Raises LayerAttributeError when zero points do not fit the scales, ShapeError when several
    scales do not fit their axis.
    """

    type = "Quantize"

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return self.dtype

    def function(self, scale: Any, zero_point: Any) -> Expression:
        return stored(Input(0), scale, zero_point, self.dtype)

    def quantises(self, source: TensorDesc, output: TensorDesc) -> tuple[float, int] | None:
        return (self.scale[0], self.zero_point[0]) if len(self.scale) == 1 else None

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        scale, zero_point = self.aligned(source.ndim)
        if self.dtype.is_float:
            most = self.dtype.largest
            # By float32, as kernels do: a double rounds otherwise.
            near = np.clip(source.astype(np.float32) / scale.astype(np.float32), -most, most)
            return [near.astype(self.dtype.numpy)]
        limits = np.iinfo(self.dtype.numpy)
        whole = np.rint(source.astype(np.float64) / scale) + zero_point
        return [np.clip(whole, limits.min, limits.max).astype(self.dtype.numpy)]


class Dequantize(ScaledConversion):
    """(x - zero_point) * scale: int8, uint8 or an 8-bit float [any shape] -> float32 of the same
    shape. ONNX DequantizeLinear.

    Raises LayerAttributeError when zero points do not fit the scales, ShapeError when several
    scales do not fit their axis or the input has another type.
    """

    type = "Dequantize"

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.FLOAT32

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if inputs[0].dtype is not self.dtype:
            raise ShapeError(
                f"Dequantize: the input is {inputs[0].dtype.value}, the attribute dtype says "
                f"{self.dtype.value}; make them equal"
            )
        return super().getOutputDimensions(index, inputs)

    def function(self, scale: Any, zero_point: Any) -> Expression:
        value: Expression = (Input(0) - zero_point) * scale
        return value

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        (source,) = inputs
        scale, zero_point = self.aligned(source.ndim)
        return [((source.astype(np.float64) - zero_point) * scale).astype(np.float32)]
