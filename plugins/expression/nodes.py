"""The nodes of expressions, and how operators are applied to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Union

import numpy as np

from ..errors import ShapeError

Number = int | float | bool
ExpressionLike = Union["Expression", Number]


def _erf(x: Any) -> Any:
    # Abramowitz and Stegun 7.1.26 is too coarse for a reference; integrate the series by libm.
    from math import erf

    return np.vectorize(erf, otypes=[np.asarray(x).dtype])(x)


def _logistic(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


OPERATORS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    # unary
    "neg": (1, np.negative),
    "abs": (1, np.abs),
    "exp": (1, np.exp),
    "log": (1, np.log),
    "sqrt": (1, np.sqrt),
    "rsqrt": (1, _rsqrt),
    "tanh": (1, np.tanh),
    "logistic": (1, _logistic),
    "erf": (1, _erf),
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "round": (1, np.rint),  # half to even
    "sign": (1, np.sign),
    "not": (1, np.logical_not),
    # binary
    "add": (2, np.add),
    "sub": (2, np.subtract),
    "mul": (2, np.multiply),
    "div": (2, np.divide),
    "pow": (2, np.power),
    "mod": (2, np.mod),
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "lt": (2, np.less),
    "le": (2, np.less_equal),
    "eq": (2, np.equal),
    "and": (2, np.logical_and),
    "or": (2, np.logical_or),
    # ternary: condition, where true, where false
    "select": (3, np.where),
}
"""Operator name -> (operand count, NumPy meaning). Comparisons and logic give 0 or 1."""

COMMUTATIVE = frozenset({"add", "mul", "min", "max", "eq", "and", "or"})


class Expression:
    """Base of the nodes. Immutable, hashable; supports arithmetic and comparison operators.

    `==` compares structure; use `equal(a, b)` for the element-wise comparison.
    """

    def __add__(self, other: ExpressionLike) -> Expression:
        return apply("add", self, other)

    def __radd__(self, other: ExpressionLike) -> Expression:
        return apply("add", other, self)

    def __sub__(self, other: ExpressionLike) -> Expression:
        return apply("sub", self, other)

    def __rsub__(self, other: ExpressionLike) -> Expression:
        return apply("sub", other, self)

    def __mul__(self, other: ExpressionLike) -> Expression:
        return apply("mul", self, other)

    def __rmul__(self, other: ExpressionLike) -> Expression:
        return apply("mul", other, self)

    def __truediv__(self, other: ExpressionLike) -> Expression:
        return apply("div", self, other)

    def __rtruediv__(self, other: ExpressionLike) -> Expression:
        return apply("div", other, self)

    def __pow__(self, other: ExpressionLike) -> Expression:
        return apply("pow", self, other)

    def __mod__(self, other: ExpressionLike) -> Expression:
        return apply("mod", self, other)

    def __neg__(self) -> Expression:
        return apply("neg", self)

    def __abs__(self) -> Expression:
        return apply("abs", self)

    def __lt__(self, other: ExpressionLike) -> Expression:
        return apply("lt", self, other)

    def __le__(self, other: ExpressionLike) -> Expression:
        return apply("le", self, other)

    def __gt__(self, other: ExpressionLike) -> Expression:
        return apply("lt", other, self)

    def __ge__(self, other: ExpressionLike) -> Expression:
        return apply("le", other, self)


@dataclass(frozen=True, eq=True)
class Input(Expression):
    """Element of input `index`: broadcast like NumPy, or with `axis` a vector along that axis."""

    index: int
    axis: int | None = None

    def __str__(self) -> str:
        return f"x{self.index}" if self.axis is None else f"x{self.index}@{self.axis}"


@dataclass(frozen=True, eq=True)
class Constant(Expression):
    """A number, in the computation's type."""

    value: float

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, eq=False)
class Apply(Expression):
    """An operator on operands; made by `apply`, which canonicalises."""

    operator: str
    operands: tuple[Expression, ...]

    @cached_property
    def key(self) -> str:
        """Digest of the structure: comparing it keeps shared sub-expressions linear."""
        text = f"{self.operator}({','.join(_key(operand) for operand in self.operands)})"
        return blake2b(text.encode(), digest_size=12).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Apply) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.operator}({', '.join(map(str, self.operands))})"


def constant(value: ExpressionLike) -> Expression:
    """An expression from a number; expressions pass through."""
    return value if isinstance(value, Expression) else Constant(float(value))


Rule = Callable[[list["Expression"]], "Expression | None"]

RULES: dict[str, Rule] = {}
"""How an operator on canonical operands simplifies; filled by rules.py."""


def apply(operator: str, *operands: ExpressionLike) -> Expression:
    """An operator applied, simplified to its canonical form.

    Raises ShapeError for an unknown operator or a wrong number of operands.
    """
    if operator not in OPERATORS:
        raise ShapeError(f"unknown operator {operator!r}; use one of: {', '.join(OPERATORS)}")
    arity, evaluate_numpy = OPERATORS[operator]
    if len(operands) != arity:
        raise ShapeError(f"operator {operator} takes {arity} operands, not {len(operands)}")
    terms = [constant(operand) for operand in operands]
    if all(isinstance(term, Constant) for term in terms):
        with np.errstate(all="ignore"):
            return Constant(float(evaluate_numpy(*(np.float64(t.value) for t in terms))))  # type: ignore[attr-defined]
    if operator in COMMUTATIVE:
        terms.sort(key=_order)
    rule = RULES.get(operator)
    simple = None if rule is None else rule(terms)
    return simple if simple is not None else Apply(operator, tuple(terms))


def _order(term: Expression) -> tuple[bool, str]:
    return (isinstance(term, Constant), _key(term))


def _key(term: Expression) -> str:
    return term.key if isinstance(term, Apply) else str(term)
