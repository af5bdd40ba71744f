"""Activation functions of Darknet that plugrt has no layer for."""

from __future__ import annotations

from plugrt.plugins import Expression, Input, UnaryPointwise
from plugrt.plugins.expression import logistic, maximum


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
