"""Activation functions of Darknet that plugrt has no layer for: scalar expressions of one input.

All take any shape, format and floating type and keep them.
Source: the activation functions of the two Darknets.
"""

from __future__ import annotations

from plugrt.plugins import Expression, Input, UnaryPointwise
from plugrt.plugins.expression import apply, clip, equal, logistic, maximum, where


class Ramp(UnaryPointwise):
    """max(x, 0) + 0.1 x."""

    type = "Darknet.Ramp"

    def pointwise(self) -> Expression:
        return maximum(Input(0), 0.0) + Input(0) * 0.1


class Loggy(UnaryPointwise):
    """2 / (1 + exp(-x)) - 1."""

    type = "Darknet.Loggy"

    def pointwise(self) -> Expression:
        return logistic(Input(0)) * 2.0 - 1.0


class HardMish(UnaryPointwise):
    """0 up to -2, x^2 / 2 + x up to 0, x above: a Mish of parabola and line."""

    type = "Darknet.HardMish"

    def pointwise(self) -> Expression:
        bent = clip(Input(0) * 0.5, -1.0, 0.0)
        return maximum(Input(0), 0.0) + (bent + 1.0) * bent * 2.0


class Plse(UnaryPointwise):
    """x / 8 + 1 / 2 in [-4, 4], a line of slope 0.01 on either side: a logistic of lines."""

    type = "Darknet.Plse"

    def pointwise(self) -> Expression:
        x = Input(0) * 0.25
        middle = clip(x, -1.0, 1.0)
        return middle * 0.5 + 0.5 + (x - middle) * 0.04


class Lhtan(UnaryPointwise):
    """x in [0, 1], a line of slope 0.001 on either side: a leaky hard limit."""

    type = "Darknet.Lhtan"

    def pointwise(self) -> Expression:
        x = Input(0)
        middle = clip(x, 0.0, 1.0)
        return middle + (x - middle) * 0.001


class Stair(UnaryPointwise):
    """A flat step of length 1, then a rise of 1 over a length of 1, and so on."""

    type = "Darknet.Stair"

    def pointwise(self) -> Expression:
        x = Input(0)
        whole = apply("floor", x)
        step = apply("floor", x * 0.5)
        return where(equal(whole, step * 2.0), step, x - whole + step)
