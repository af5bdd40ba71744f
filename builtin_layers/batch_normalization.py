"""Batch normalization with fixed statistics, and Scale."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import (
    Expression,
    Input,
    LayerPlugin,
    PointwiseLayer,
    Shape,
    ShapeError,
    TensorDesc,
    attribute,
    format_shape,
)
from ..plugins.expression import sqrt


class PerChannelLayer(PointwiseLayer):
    """Base of layers whose inputs behind the first are vectors along `axis`."""

    type = "PerChannelLayer"

    axis = attribute(
        int, 1, "the dimension of the channels",
        allowed=lambda axis: axis >= 0, rule="0 or more",
    )  # fmt: skip

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if self.axis >= len(shape):
            raise ShapeError(
                f"{self.type}: axis {self.axis} does not exist in input {format_shape(shape)}"
            )
        for name, desc in zip(self.input_names[1:], inputs[1:], strict=False):
            if desc is not None and desc.shape != (shape[self.axis],):
                raise ShapeError(
                    f"{self.type}: {name.rstrip('?')} {format_shape(desc.shape)} must have one "
                    f"value for each of the {shape[self.axis]} channels"
                )
        return shape

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        return self.clone(axis=list(order).index(self.axis))


class BatchNormalization(PerChannelLayer):
    """(x - mean) / (sqrt(variance + epsilon) + outer_epsilon) * scale + shift, per channel.

    input [any shape], scale, shift, mean, variance [size of axis] -> [the input's shape]. ONNX
    BatchNormalization in inference, Darknet batch_normalize (which adds its epsilon outside the
    root). Folds into a convolution before it. Raises ShapeError when the vectors do not fit.
    """

    type = "BatchNormalization"
    input_names = ("input", "scale", "shift", "mean", "variance")

    epsilon = attribute(float, 1e-5, "added to the variance")
    outer_epsilon = attribute(float, 0.0, "added to the square root")

    def pointwise(self) -> Expression:
        x, (scale, shift, mean, variance) = Input(0), (Input(k, self.axis) for k in range(1, 5))
        deviation = sqrt(variance + self.epsilon) + self.outer_epsilon
        return (x - mean) / deviation * scale + shift


class Scale(PerChannelLayer):
    """x * scale + shift, per channel: input [any shape], scale and shift [size of axis] -> [the
    input's shape]. Caffe Scale. Folds into a convolution before it.

    Without the input `shift` set shifted=False. Raises ShapeError when the vectors do not fit.
    """

    type = "Scale"
    input_names = ("input", "scale", "shift?")

    shifted = attribute(bool, True, "whether there is a shift")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        if (len(inputs) > 2 and inputs[2] is not None) is not self.shifted:
            raise ShapeError(
                f"Scale: shifted={self.shifted} does not fit {len(inputs)} inputs; give input, "
                "scale and shift, or set shifted=False"
            )
        return super().getOutputDimensions(index, inputs)

    def pointwise(self) -> Expression:
        scaled = Input(0) * Input(1, self.axis)
        return scaled + Input(2, self.axis) if self.shifted else scaled
