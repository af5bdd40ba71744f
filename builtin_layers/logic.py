"""Logic on bool tensors, and choice by a bool tensor; NumPy's broadcasting, ONNX's names."""

from __future__ import annotations

from collections.abc import Sequence

from ..plugins import (
    DataType,
    Expression,
    FixedRange,
    Input,
    PointwiseLayer,
    RangeRule,
    ShapeError,
    UnaryPointwise,
)
from ..plugins.expression import apply, where
from .arithmetic import common_type


class And(PointwiseLayer):
    """a and b, both bool."""

    type = "And"
    input_names = ("a", "b")

    def pointwise(self) -> Expression:
        return apply("and", Input(0), Input(1))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return require_bool(self.type, inputTypes)

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class Or(PointwiseLayer):
    """a or b, both bool."""

    type = "Or"
    input_names = ("a", "b")

    def pointwise(self) -> Expression:
        return apply("or", Input(0), Input(1))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return require_bool(self.type, inputTypes)

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class Not(UnaryPointwise):
    """The opposite of a bool."""

    type = "Not"
    acceptsPadded = True

    def pointwise(self) -> Expression:
        return apply("not", Input(0))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return require_bool(self.type, inputTypes)

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(0.0, 1.0)


class Where(PointwiseLayer):
    """x where the bool `condition` is true, else y. x and y have one type, the output's."""

    type = "Where"
    input_names = ("condition", "x", "y")

    def pointwise(self) -> Expression:
        return where(Input(0), Input(1), Input(2))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        require_bool(self.type, inputTypes[:1])
        return common_type(self.type, inputTypes[1:])


def require_bool(owner: str, types: Sequence[DataType]) -> DataType:
    """BOOL. Raises ShapeError when one of the inputs has another type."""
    for dtype in types:
        if dtype is not DataType.BOOL:
            raise ShapeError(
                f"{owner}: an input has type {dtype.value} where bool is wanted; compare it "
                "(Equal, Greater...) or convert it with a Cast layer"
            )
    return DataType.BOOL
