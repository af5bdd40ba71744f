"""Activation functions: scalar expressions of one input.

All take any shape, format and floating type and keep them. Names, attributes and defaults are
ONNX's where ONNX has the operator; Mish and Swish are the usual ones.
"""

from __future__ import annotations

from math import inf, pi, sqrt

from ..plugins import (
    CalibratedRange,
    Expression,
    FixedRange,
    Input,
    RangeRule,
    SameRange,
    UnaryPointwise,
    attribute,
)
from ..plugins.expression import clip, erf, exp, log, logistic, maximum, minimum, tanh, where


class Activation(UnaryPointwise):
    """Base of the layers here. Padding behind a data-dependent size is computed and ignored."""

    type = "Activation"
    acceptsPadded = True


class ReLU(Activation):
    """max(x, 0). ONNX Relu. The output keeps the input's scale."""

    type = "ReLU"

    def pointwise(self) -> Expression:
        return maximum(Input(0), 0)

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)


class LeakyReLU(Activation):
    """x where x > 0, else slope * x. ONNX LeakyRelu. The output keeps the input's scale."""

    type = "LeakyReLU"
    slope = attribute(float, 0.01, "factor for negative inputs")

    def pointwise(self) -> Expression:
        x = Input(0)
        return where(x > 0, x, x * self.slope)

    def outputRange(self, index: int) -> RangeRule:
        # A steeper slope leaves the input's range.
        return SameRange(0) if abs(self.slope) <= 1 else CalibratedRange()


class Sigmoid(Activation):
    """1 / (1 + exp(-x)). ONNX Sigmoid."""

    type = "Sigmoid"

    def pointwise(self) -> Expression:
        return logistic(Input(0))

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class Tanh(Activation):
    """Hyperbolic tangent. ONNX Tanh."""

    type = "Tanh"

    def pointwise(self) -> Expression:
        return tanh(Input(0))

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(-1.0, 1.0)


class Mish(Activation):
    """x * tanh(log(1 + exp(x))). ONNX Mish; Misra 2019."""

    type = "Mish"

    def pointwise(self) -> Expression:
        # exp may overflow: tanh(log(inf)) is 1, the right limit.
        x = Input(0)
        return x * tanh(log(1 + exp(x)))


class Swish(Activation):
    """x * sigmoid(beta * x); with beta 1 also called SiLU. Ramachandran et al. 2017."""

    type = "Swish"
    beta = attribute(float, 1.0, "factor inside the sigmoid")

    def pointwise(self) -> Expression:
        x = Input(0)
        return x * logistic(x * self.beta)


class Elu(Activation):
    """x where x > 0, else alpha * (exp(x) - 1). ONNX Elu."""

    type = "Elu"
    alpha = attribute(float, 1.0, "limit for negative inputs, negated")

    def pointwise(self) -> Expression:
        x = Input(0)
        return where(x > 0, x, self.alpha * (exp(x) - 1))


class Selu(Activation):
    """gamma * (x where x > 0, else alpha * (exp(x) - 1)). ONNX Selu."""

    type = "Selu"
    alpha = attribute(float, 1.67326319217681884765625, "limit for negative inputs, negated")
    gamma = attribute(float, 1.05070102214813232421875, "factor")

    def pointwise(self) -> Expression:
        x = Input(0)
        return where(x > 0, x, self.alpha * (exp(x) - 1)) * self.gamma


class Clip(Activation):
    """min(max(x, minimum), maximum). ONNX Clip; Clip(0, 6) is ReLU6.

    As in ONNX, every element becomes `maximum` where minimum > maximum.
    """

    type = "Clip"
    minimum = attribute(float, -inf, "lower limit")
    maximum = attribute(float, inf, "upper limit")

    # The range is calibrated: limits are often guards far outside of the data.
    def pointwise(self) -> Expression:
        result: Expression = Input(0)
        if self.minimum > -inf:
            result = maximum(result, self.minimum)
        if self.maximum < inf:
            result = minimum(result, self.maximum)
        return result


class HardSigmoid(Activation):
    """alpha * x + beta limited to [0, 1]. ONNX HardSigmoid."""

    type = "HardSigmoid"
    alpha = attribute(float, 0.2, "slope of the middle part")
    beta = attribute(float, 0.5, "value at zero")

    def pointwise(self) -> Expression:
        return clip(Input(0) * self.alpha + self.beta, 0, 1)

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class HardSwish(Activation):
    """x * (x / 6 + 0.5 limited to [0, 1]). ONNX HardSwish."""

    type = "HardSwish"

    def pointwise(self) -> Expression:
        x = Input(0)
        return x * clip(x * (1 / 6) + 0.5, 0, 1)


class Gelu(Activation):
    """x * P(X <= x) for a standard normal X. ONNX Gelu; Hendrycks and Gimpel 2016."""

    type = "Gelu"
    approximate = attribute(bool, False, "use the tanh formula in place of erf")

    def pointwise(self) -> Expression:
        x = Input(0)
        if self.approximate:
            bent = (x + (x * x) * x * 0.044715) * sqrt(2 / pi)
            return x * (tanh(bent) * 0.5 + 0.5)
        return x * (erf(x * (1 / sqrt(2))) * 0.5 + 0.5)


class Softplus(Activation):
    """log(1 + exp(x)), in a form that cannot overflow. ONNX Softplus."""

    type = "Softplus"

    def pointwise(self) -> Expression:
        x = Input(0)
        return maximum(x, 0) + log(1 + exp(-abs(x)))
