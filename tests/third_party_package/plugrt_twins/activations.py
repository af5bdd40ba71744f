"""Activations: one scalar expression each, and nothing else to write."""

from __future__ import annotations

from plugrt.plugins import (
    CalibratedRange,
    Expression,
    Input,
    RangeRule,
    SameRange,
    UnaryPointwise,
    attribute,
)
from plugrt.plugins.expression import exp, log, tanh, where


class LeakyReLU(UnaryPointwise):
    """x where x > 0, else slope * x. Twin of LeakyReLU."""

    type = "Twins.LeakyReLU"
    acceptsPadded = True
    slope = attribute(float, 0.01, "factor for negative inputs")

    def pointwise(self) -> Expression:
        x = Input(0)
        return where(x > 0, x, x * self.slope)

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0) if abs(self.slope) <= 1 else CalibratedRange()


class Mish(UnaryPointwise):
    """x * tanh(log(1 + exp(x))). Twin of Mish."""

    type = "Twins.Mish"
    acceptsPadded = True

    def pointwise(self) -> Expression:
        x = Input(0)
        return x * tanh(log(1 + exp(x)))
