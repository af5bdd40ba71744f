"""PReLU: a leaky rectifier with learned slopes."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import Expression, Input, PointwiseLayer, Shape, ShapeError, TensorDesc
from ..plugins.dims import format_shape
from ..plugins.expression import where


class PReLU(PointwiseLayer):
    """x where x > 0, else slope * x. ONNX PRelu; He et al. 2015.

    `slope` broadcasts to the input's shape like NumPy: [C, 1, 1] gives one slope per channel of
    [N, C, H, W]. Raises ShapeError when broadcasting would enlarge the input.
    """

    type = "PReLU"
    input_names = ("input", "slope")

    def pointwise(self) -> Expression:
        x, slope = Input(0), Input(1)
        return where(x > 0, x, x * slope)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = super().getOutputDimensions(index, inputs)
        if shape != tuple(inputs[0].shape):
            raise ShapeError(
                f"PReLU: slope {format_shape(inputs[1].shape)} does not fit input "
                f"{format_shape(inputs[0].shape)}; give one slope, or one per channel as Cx1x1"
            )
        return shape
