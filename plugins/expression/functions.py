"""Functions to write expressions with."""

from __future__ import annotations

from .nodes import Expression, ExpressionLike, apply


def minimum(left: ExpressionLike, right: ExpressionLike) -> Expression:
    """The smaller operand."""
    return apply("min", left, right)


def maximum(left: ExpressionLike, right: ExpressionLike) -> Expression:
    """The larger operand."""
    return apply("max", left, right)


def clip(x: ExpressionLike, low: float, high: float) -> Expression:
    """`x` limited to [low, high]."""
    return minimum(maximum(x, low), high)


def where(
    condition: ExpressionLike, yes: ExpressionLike, no: ExpressionLike
) -> Expression:
    """`yes` where the condition is not zero, else `no`."""
    return apply("select", condition, yes, no)


def equal(left: ExpressionLike, right: ExpressionLike) -> Expression:
    """1 where the operands are equal, else 0."""
    return apply("eq", left, right)


def exp(x: ExpressionLike) -> Expression:
    """e to the power of x."""
    return apply("exp", x)


def log(x: ExpressionLike) -> Expression:
    """Natural logarithm."""
    return apply("log", x)


def sqrt(x: ExpressionLike) -> Expression:
    """Square root."""
    return apply("sqrt", x)


def tanh(x: ExpressionLike) -> Expression:
    """Hyperbolic tangent."""
    return apply("tanh", x)


def logistic(x: ExpressionLike) -> Expression:
    """1 / (1 + exp(-x))."""
    return apply("logistic", x)


def erf(x: ExpressionLike) -> Expression:
    """Error function."""
    return apply("erf", x)


def rounded(x: ExpressionLike) -> Expression:
    """Nearest integer, half to even."""
    return apply("round", x)
