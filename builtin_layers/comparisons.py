"""Comparisons of two inputs, with NumPy's broadcasting. The output is bool.

Both inputs have one element type. Names are ONNX's.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import DataType, Expression, FixedRange, Input, PointwiseLayer, RangeRule
from ..plugins.expression import equal
from .arithmetic import common_type


class Comparison(PointwiseLayer):
    """Base of the layers here."""

    type = "Comparison"
    input_names = ("a", "b")

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        common_type(self.type, inputTypes)
        return DataType.BOOL

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class Less(Comparison):
    """a < b; false where either is NaN."""

    type = "Less"

    def pointwise(self) -> Expression:
        return Input(0) < Input(1)


class LessOrEqual(Comparison):
    """a <= b; false where either is NaN."""

    type = "LessOrEqual"

    def pointwise(self) -> Expression:
        return Input(0) <= Input(1)


class Greater(Comparison):
    """a > b; false where either is NaN."""

    type = "Greater"

    def pointwise(self) -> Expression:
        return Input(0) > Input(1)


class GreaterOrEqual(Comparison):
    """a >= b; false where either is NaN."""

    type = "GreaterOrEqual"

    def pointwise(self) -> Expression:
        return Input(0) >= Input(1)


class Equal(Comparison):
    """a == b; false where either is NaN."""

    type = "Equal"

    def pointwise(self) -> Expression:
        return equal(Input(0), Input(1))
