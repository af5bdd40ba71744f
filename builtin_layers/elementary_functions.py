"""Elementary functions of one input; any shape and format. Names are ONNX's (Negate is Neg).

Abs, Negate, Sign, Floor, Ceil and Round also take integers, where the last three change nothing.
"""

from __future__ import annotations

from typing import ClassVar

from ..plugins import Expression, FixedRange, Input, RangeRule, UnaryPointwise
from ..plugins.expression import apply


class ElementaryFunction(UnaryPointwise):
    """Base of the layers here: one operator. Padding behind a data-dependent size is harmless."""

    type = "ElementaryFunction"
    acceptsPadded = True
    operator: ClassVar[str]
    """Name of the expression operator."""

    def pointwise(self) -> Expression:
        return apply(self.operator, Input(0))


class Exp(ElementaryFunction):
    """e to the power of x."""

    type = "Exp"
    operator = "exp"


class Log(ElementaryFunction):
    """Natural logarithm; -inf at 0, NaN below."""

    type = "Log"
    operator = "log"


class Sqrt(ElementaryFunction):
    """Square root; NaN below 0."""

    type = "Sqrt"
    operator = "sqrt"


class Abs(ElementaryFunction):
    """Absolute value."""

    type = "Abs"
    operator = "abs"


class Negate(ElementaryFunction):
    """-x."""

    type = "Negate"
    operator = "neg"


class Erf(ElementaryFunction):
    """Error function."""

    type = "Erf"
    operator = "erf"

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(-1.0, 1.0)


class Floor(ElementaryFunction):
    """Largest whole number not above x."""

    type = "Floor"
    operator = "floor"


class Ceil(ElementaryFunction):
    """Smallest whole number not below x."""

    type = "Ceil"
    operator = "ceil"


class Round(ElementaryFunction):
    """Nearest whole number, halves to the even one."""

    type = "Round"
    operator = "round"


class Sign(ElementaryFunction):
    """-1, 0 or 1."""

    type = "Sign"
    operator = "sign"

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(-1.0, 1.0)


class Sin(ElementaryFunction):
    """Sine; x in radians."""

    type = "Sin"
    operator = "sin"

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(-1.0, 1.0)


class Cos(ElementaryFunction):
    """Cosine; x in radians."""

    type = "Cos"
    operator = "cos"

    def outputRange(self, index: int) -> RangeRule:
        return FixedRange(-1.0, 1.0)


class Reciprocal(UnaryPointwise):
    """1 / x; infinite at 0."""

    type = "Reciprocal"
    acceptsPadded = True

    def pointwise(self) -> Expression:
        return 1 / Input(0)
