"""Activation functions, composed where Caffe has none.

The compositions are equal to the functions, apart from rounding.
"""

from __future__ import annotations

from math import inf, pi, sqrt

from ..conversion import Conversion, NotExportableError
from .registry import converts


@converts("ReLU")
def relu(layer: Conversion) -> str:
    return layer.add("ReLU", layer.blobs(), "relu")


@converts("LeakyReLU")
def leaky_relu(layer: Conversion) -> str:
    return layer.add("ReLU", layer.blobs(), "relu", negative_slope=layer.plugin.slope)


@converts("Sigmoid")
def sigmoid(layer: Conversion) -> str:
    return layer.add("Sigmoid", layer.blobs(), "sigmoid")


@converts("Tanh")
def tanh(layer: Conversion) -> str:
    return layer.add("TanH", layer.blobs(), "tanh")


@converts("Elu")
def elu(layer: Conversion) -> str:
    return layer.add("ELU", layer.blobs(), "elu", alpha=layer.plugin.alpha)


@converts("Selu")
def selu(layer: Conversion) -> str:
    return layer.add("Power", [elu(layer)], "scaled", scale=layer.plugin.gamma)


@converts("Swish")
def swish(layer: Conversion) -> str:
    """x sigmoid(beta x)."""
    x, beta = layer.blob(), layer.plugin.beta
    inner = layer.add("Power", [x], "inner", scale=beta) if beta != 1 else x
    gate = layer.add("Sigmoid", [inner], "sigmoid")
    return layer.add("Eltwise", [x, gate], "product", operation="PROD")


@converts("Mish")
def mish(layer: Conversion) -> str:
    """x tanh(log(1 + exp(x))); BNLL is the logarithm."""
    x = layer.blob()
    softplus = layer.add("BNLL", [x], "softplus")
    gate = layer.add("TanH", [softplus], "tanh")
    return layer.add("Eltwise", [x, gate], "product", operation="PROD")


@converts("Gelu")
def gelu(layer: Conversion) -> str:
    """x (1/2 + 1/2 tanh(c x (1 + 0.044715 x^2))), c = sqrt(2 / pi)."""
    if not layer.plugin.approximate:
        raise NotExportableError("Caffe has no error function")
    x, factor = layer.blob(), sqrt(2 / pi)
    # No Power: OpenCV joins it wrongly with the one behind it.
    square = layer.add("Eltwise", [x, x], "square", operation="PROD")
    even = layer.add("Power", [square], "even", scale=0.044715 * factor, shift=factor)
    inner = layer.add("Eltwise", [x, even], "inner", operation="PROD")
    outer = layer.add("TanH", [inner], "tanh")
    gate = layer.add("Power", [outer], "gate", scale=0.5, shift=0.5)
    return layer.add("Eltwise", [x, gate], "product", operation="PROD")


@converts("Clip")
def clip(layer: Conversion) -> str:
    """max(x - low, 0) is limited below; its mirror image limits above."""
    low, high = layer.plugin.minimum, layer.plugin.maximum
    if not -inf < low <= high < inf:
        raise NotExportableError(f"only limits on both sides can be formed, not {low} and {high}")
    x = layer.blob()
    shifted = layer.add("Power", [x], "shifted", shift=-low) if low else x
    above = layer.add("ReLU", [shifted], "lower_limit")
    mirrored = layer.add("Power", [above], "mirrored", scale=-1.0, shift=high - low)
    below = layer.add("ReLU", [mirrored], "upper_limit")
    return layer.add("Power", [below], "clipped", scale=-1.0, shift=high)


@converts("Darknet.Ramp")
def ramp(layer: Conversion) -> str:
    """max(x, 0) + 0.1 x."""
    x = layer.blob()
    positive = layer.add("ReLU", [x], "relu")
    return layer.add("Eltwise", [positive, x], "sum", operation="SUM", coeff=[1.0, 0.1])


@converts("Darknet.Loggy")
def loggy(layer: Conversion) -> str:
    """2 sigmoid(x) - 1."""
    return layer.add("Power", [sigmoid(layer)], "loggy", scale=2.0, shift=-1.0)


@converts("Darknet.HardMish")
def hard_mish(layer: Conversion) -> str:
    """max(x, 0) + 2 (v - 1/2)^2 - 1/2, where v is -x / 2 limited to [0, 1]."""
    x, root = layer.blob(), sqrt(2)
    positive = layer.add("ReLU", [x], "relu")
    shifted = layer.add("Power", [x], "shifted", scale=0.5, shift=1.0)
    above = layer.add("ReLU", [shifted], "lower_limit")
    mirrored = layer.add("Power", [above], "mirrored", scale=-1.0, shift=1.0)
    limited = layer.add("ReLU", [mirrored], "upper_limit")
    square = layer.add("Power", [limited], "square", power=2.0, scale=root, shift=-root / 2)
    total = layer.add("Eltwise", [positive, square], "sum", operation="SUM")
    return layer.add("Power", [total], "hard_mish", shift=-0.5)


@converts("Darknet.Plse")
def plse(layer: Conversion) -> str:
    """0.04 + 0.01 x + 0.115 times what is above -4, up to 4."""
    return _piecewise_linear(layer, (-4.0, 4.0), slope=0.125, outer=0.01, shift=0.04)


@converts("Darknet.Lhtan")
def lhtan(layer: Conversion) -> str:
    """0.001 x + 0.999 times what is above 0, up to 1."""
    return _piecewise_linear(layer, (0.0, 1.0), slope=1.0, outer=0.001, shift=0.0)


def _piecewise_linear(
    layer: Conversion, limits: tuple[float, float], slope: float, outer: float, shift: float
) -> str:
    """`shift` + a line of slope `outer`, of `slope` between the limits."""
    x, bends = layer.blob(), []
    for name, limit in zip(("first", "second"), limits, strict=True):
        shifted = layer.add("Power", [x], f"{name}_shift", shift=-limit) if limit else x
        bends.append(layer.add("ReLU", [shifted], f"{name}_bend"))
    steeper = slope - outer
    coefficients = [steeper, -steeper, outer]
    blob = layer.add("Eltwise", [*bends, x], "sum", operation="SUM", coeff=coefficients)
    return layer.add("Power", [blob], "shifted", shift=shift) if shift else blob
