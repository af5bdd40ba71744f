"""Arithmetic on two inputs, with NumPy's broadcasting; ONNX operators of the same meaning.

Both inputs have one element type, which is the output's. On integers the results wrap around as
in NumPy. On small integer tensors the layers also compute with symbolic sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..plugins import (
    Array,
    DataType,
    DimLike,
    Expression,
    Input,
    PointwiseLayer,
    ShapeError,
    TensorDesc,
    dim_max,
    dim_min,
    floor_div,
)
from ..plugins.expression import apply
from .shape_arithmetic import combine


class BinaryArithmetic(PointwiseLayer):
    """Base of the layers here: one operator on inputs of one type."""

    type = "BinaryArithmetic"
    input_names = ("a", "b")
    operator: ClassVar[str]
    """Name of the expression operator."""

    def pointwise(self) -> Expression:
        return apply(self.operator, Input(0), Input(1))

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return common_type(self.type, inputTypes)

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        return combine(self.compute_dim, inputs[0], inputs[1])

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        """The operator on sizes."""
        raise NotImplementedError


class Add(BinaryArithmetic):
    """a + b."""

    type = "Add"
    operator = "add"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        return left + right


class Subtract(BinaryArithmetic):
    """a - b. ONNX Sub."""

    type = "Subtract"
    operator = "sub"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        return left - right


class Multiply(BinaryArithmetic):
    """a * b. ONNX Mul."""

    type = "Multiply"
    operator = "mul"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        return left * right


class Divide(BinaryArithmetic):
    """a / b; integers are divided towards zero. ONNX Div.

    An integer divided by zero gives an unspecified number, not an error.
    """

    type = "Divide"
    operator = "div"

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        a, b = (np.asarray(value) for value in inputs)
        if not np.issubdtype(a.dtype, np.integer):
            return super().reference(inputs)
        with np.errstate(all="ignore"):
            quotient = a // b
            # Floor division rounds down; towards zero differs where a remainder is left
            # and the signs do too.
            inexact = (quotient * b != a) & ((a < 0) != (b < 0)) & (b != 0)
        return [(quotient + inexact).astype(a.dtype)]

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        if isinstance(left, int) and isinstance(right, int) and right:
            quotient = abs(left) // abs(right)
            return quotient if (left < 0) == (right < 0) else -quotient
        return floor_div(left, right)


class Power(BinaryArithmetic):
    """a to the power of b. ONNX Pow. On integers b must not be negative."""

    type = "Power"
    operator = "pow"

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return inputTypes[0]  # ONNX allows an exponent of another type

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        dtype = np.asarray(inputs[0]).dtype
        return [np.asarray(result).astype(dtype) for result in super().reference(inputs)]

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        return None


class Modulo(BinaryArithmetic):
    """Remainder of a / b with the sign of b, as in Python and NumPy. ONNX Mod with fmod 0."""

    type = "Modulo"
    operator = "mod"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        if right == 0:
            raise ShapeError(f"Modulo: size {left} modulo zero; use a positive size")
        return left - floor_div(left, right) * right


class Minimum(BinaryArithmetic):
    """The smaller element. ONNX Min of two; NaN where either is NaN."""

    type = "Minimum"
    operator = "min"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        return dim_min(left, right)


class Maximum(BinaryArithmetic):
    """The larger element. ONNX Max of two; NaN where either is NaN."""

    type = "Maximum"
    operator = "max"

    def compute_dim(self, left: DimLike, right: DimLike) -> DimLike:
        return dim_max(left, right)


def common_type(owner: str, types: Sequence[DataType | None]) -> DataType:
    """The one type of the inputs that are there. Raises ShapeError when they differ."""
    present = [dtype for dtype in types if dtype is not None]
    for dtype in present:
        if dtype is not present[0]:
            raise ShapeError(
                f"{owner}: element types {present[0].value} and {dtype.value} differ; convert "
                "one input with a Cast layer"
            )
    return present[0]
