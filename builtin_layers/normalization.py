"""Batch normalization and scale: per-channel affine maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..plugins import (
    DataType,
    Expression,
    Input,
    PointwiseLayer,
    Shape,
    ShapeError,
    TensorDesc,
    attribute,
    format_shape,
)
from ..plugins.expression import sqrt


class PerChannel(PointwiseLayer):
    """Base: input 0 of any shape, the others vectors along `axis` of it."""

    type = "PerChannel"
    axis = attribute(int, 1, "axis of the channels, not negative")
    input_names: ClassVar[tuple[str, ...]] = ("input",)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if not 0 <= self.axis < len(shape):
            raise ShapeError(
                f"axis {self.axis} is not one of input {format_shape(shape)}; use 0 to "
                f"{len(shape) - 1}"
            )
        for name, vector in zip(self.input_names[1:], inputs[1:], strict=False):
            if vector is not None and vector.shape != (shape[self.axis],):
                raise ShapeError(
                    f"{name.rstrip('?')} has shape {format_shape(vector.shape)}; expected one "
                    f"value per channel: {shape[self.axis]}"
                )
        return tuple(shape)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return inputTypes[0]


class BatchNormalization(PerChannel):
    """(x - mean) / (sqrt(variance + epsilon) + outer_epsilon) * scale + shift, per channel.

    ONNX BatchNormalization at inference; Darknet's original form has its epsilon outside the
    root (`outer_epsilon`). Ioffe and Szegedy, Batch Normalization (2015).
    """

    type = "BatchNormalization"
    input_names = ("input", "scale", "shift", "mean", "variance")
    epsilon = attribute(float, 1e-5, "added to the variance")
    outer_epsilon = attribute(float, 0.0, "added to the standard deviation")

    def pointwise(self) -> Expression:
        scale, shift, mean, variance = (Input(k, axis=self.axis) for k in range(1, 5))
        deviation = sqrt(variance + self.epsilon) + self.outer_epsilon
        return (Input(0) - mean) / deviation * scale + shift


class Scale(PerChannel):
    """x * scale + shift, per channel. Caffe's Scale layer."""

    type = "Scale"
    input_names = ("input", "scale", "shift")

    def pointwise(self) -> Expression:
        return Input(0) * Input(1, axis=self.axis) + Input(2, axis=self.axis)
