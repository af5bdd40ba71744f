"""Scalar expressions: what a pointwise layer computes, as a typed DAG over fixed operators.

Written once by a layer's author, an expression is evaluated by NumPy (reference), matched to
a library's epilogue forms, interpreted by one vectorised C pass, or lowered to CUDA source.

    def pointwise(self) -> Expression:
        x = Input(0)
        return x * tanh(log(1 + exp(x)))          # Mish

Expressions are canonical: operators simplify on construction, so that two ways to write the
same function usually compare equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from math import isfinite
from typing import Any, Union

import numpy as np

from .errors import ShapeError

Number = Union[int, float, bool]
ExpressionLike = Union["Expression", Number]  # noqa: UP007 - not defined yet


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
    simple = _SIMPLIFY.get(operator, _keep)(terms)
    return simple if simple is not None else Apply(operator, tuple(terms))


def _order(term: Expression) -> tuple[bool, str]:
    return (isinstance(term, Constant), _key(term))


def _key(term: Expression) -> str:
    return term.key if isinstance(term, Apply) else str(term)


def _is(term: Expression, value: float) -> bool:
    return isinstance(term, Constant) and term.value == value


def _is_apply(term: Expression, operator: str) -> bool:
    return isinstance(term, Apply) and term.operator == operator


def _keep(terms: list[Expression]) -> Expression | None:
    return None


def _add(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if _is(right, 0):
        return left
    if isinstance(right, Constant) and isinstance(left, Apply) and left.operator == "add":
        inner = left.operands[1]
        if isinstance(inner, Constant):  # (a + c1) + c2
            return apply("add", left.operands[0], inner.value + right.value)
    return None


def _sub(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if isinstance(right, Constant):
        return apply("add", left, -right.value)
    return apply("neg", right) if _is(left, 0) else None


def _mul(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if _is(right, 1):
        return left
    if _is(right, -1):
        return apply("neg", left)
    if isinstance(right, Constant) and isinstance(left, Apply) and left.operator == "mul":
        inner = left.operands[1]
        if isinstance(inner, Constant):
            return apply("mul", left.operands[0], inner.value * right.value)
    return None


def _div(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if isinstance(right, Constant) and right.value != 0:
        return apply("mul", left, 1.0 / right.value)
    if _is(left, 1):  # 1 / (1 + exp(-x)) is the logistic function
        if isinstance(right, Apply) and right.operator == "add" and _is(right.operands[1], 1):
            power = right.operands[0]
            if isinstance(power, Apply) and power.operator == "exp":
                return apply("logistic", apply("neg", power.operands[0]))
        if isinstance(right, Apply) and right.operator == "sqrt":
            return apply("rsqrt", right.operands[0])
    return None


def _neg(terms: list[Expression]) -> Expression | None:
    (term,) = terms
    if isinstance(term, Apply) and term.operator == "neg":
        return term.operands[0]
    if isinstance(term, Apply) and term.operator == "mul" and isinstance(
        term.operands[1], Constant
    ):
        return apply("mul", term.operands[0], -term.operands[1].value)
    return None


def _pow(terms: list[Expression]) -> Expression | None:
    base, exponent = terms
    if _is(exponent, 1):
        return base
    if _is(exponent, 2):
        return apply("mul", base, base)
    return apply("sqrt", base) if _is(exponent, 0.5) else None


def _select(terms: list[Expression]) -> Expression | None:
    condition, yes, no = terms
    if yes == no:
        return yes
    # where(x > 0, x, c * x) and its mirror are max(x, c * x) for 0 <= c <= 1
    if isinstance(condition, Apply) and condition.operator in ("lt", "le"):
        low, high = condition.operands
        if _is(low, 0) and high == yes:
            x, other = yes, no
        elif _is(high, 0) and low == no:
            return _select([apply("lt", 0, no), no, yes])
        elif _is(high, 0) and low != no:
            x, other = no, yes
            if low != x:
                return None
        else:
            return None
        if _is(other, 0):
            return apply("max", x, 0)
        if isinstance(other, Apply) and other.operator == "mul" and other.operands[0] == x:
            factor = other.operands[1]
            if isinstance(factor, Constant) and 0 <= factor.value <= 1:
                return apply("max", x, other)
    return None


_SIMPLIFY: dict[str, Callable[[list[Expression]], Expression | None]] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "pow": _pow,
    "select": _select,
}  # fmt: skip


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


def inputs_of(expression: Expression) -> tuple[Input, ...]:
    """Every distinct input, ordered by index and axis."""
    found = {node for node in walk(expression) if isinstance(node, Input)}
    return tuple(sorted(found, key=lambda i: (i.index, -1 if i.axis is None else i.axis)))


def walk(expression: Expression) -> list[Expression]:
    """Every distinct node, operands before operators."""
    seen: dict[Expression, None] = {}

    def visit(node: Expression) -> None:
        if node in seen:
            return
        if isinstance(node, Apply):
            for operand in node.operands:
                visit(operand)
        seen[node] = None

    visit(expression)
    return list(seen)


def rename(expression: Expression, replacement: Mapping[Input, Expression]) -> Expression:
    """The expression with inputs replaced; canonical again."""
    done: dict[Expression, Expression] = {}
    for node in walk(expression):
        if isinstance(node, Apply):
            done[node] = apply(node.operator, *(done[operand] for operand in node.operands))
        else:
            done[node] = replacement.get(node, node) if isinstance(node, Input) else node
    return done[expression]


def affine(expression: Expression, index: int = 0) -> tuple[Expression, Expression] | None:
    """(a, b) with expression = a * Input(index) + b and neither containing it, else None.

    This is how a convolution folds batch norm, scale or bias without knowing their names.
    """
    x = Input(index)
    parts: dict[Expression, tuple[Expression, Expression] | None] = {}
    for node in walk(expression):
        if node == x:
            parts[node] = (Constant(1.0), Constant(0.0))
        elif not isinstance(node, Apply) or not any(
            _slope(parts[operand]) for operand in node.operands
        ):
            parts[node] = (
                None if isinstance(node, Apply) and any(parts[o] is None for o in node.operands)
                else (Constant(0.0), node)
            )
        else:
            parts[node] = _affine_apply(node, [parts[operand] for operand in node.operands])
    result = parts[expression]
    return result if result is not None and _slope(result) else None


def _slope(part: tuple[Expression, Expression] | None) -> bool:
    return part is None or not _is(part[0], 0)


def _affine_apply(
    node: Apply, parts: Sequence[tuple[Expression, Expression] | None]
) -> tuple[Expression, Expression] | None:
    if any(part is None for part in parts):
        return None
    (a, b), *others = [part for part in parts if part is not None]
    if node.operator == "neg":
        return -a, -b
    if len(others) != 1:
        return None
    c, d = others[0]
    if node.operator in ("add", "sub"):
        return apply(node.operator, a, c), apply(node.operator, b, d)
    if node.operator == "mul" and _is(c, 0):
        return apply("mul", a, d), apply("mul", b, d)
    if node.operator == "mul" and _is(a, 0):
        return apply("mul", c, b), apply("mul", d, b)
    if node.operator == "div" and _is(c, 0):
        return apply("div", a, d), apply("div", b, d)
    return None


def evaluate(
    expression: Expression, inputs: Sequence[Any], rank: int | None = None
) -> Any:
    """NumPy's value of the expression; `rank` places vector inputs along their axis.

    Constants take the type of the arrays beside them.
    """
    arrays = [np.asarray(array) for array in inputs]
    if rank is None:
        rank = max((array.ndim for array in arrays), default=0)
    values: dict[Expression, Any] = {}
    for node in walk(expression):
        if isinstance(node, Input):
            array = arrays[node.index]
            if node.axis is not None:
                array = array.reshape([-1 if i == node.axis else 1 for i in range(rank)])
            values[node] = array
        elif isinstance(node, Constant):
            whole = isfinite(node.value) and node.value == int(node.value)
            values[node] = int(node.value) if whole else node.value
        elif isinstance(node, Apply):
            with np.errstate(all="ignore"):
                function = OPERATORS[node.operator][1]
                values[node] = function(*(values[operand] for operand in node.operands))
    return values[expression]


def to_plain(expression: Expression) -> list[Any]:
    """JSON-ready form: nodes in evaluation order, operands by position."""
    order = {node: position for position, node in enumerate(walk(expression))}
    plain: list[Any] = []
    for node in order:
        if isinstance(node, Input):
            plain.append(["input", node.index, node.axis])
        elif isinstance(node, Constant):
            plain.append(["constant", float(node.value).hex()])
        elif isinstance(node, Apply):
            plain.append([node.operator, *(order[operand] for operand in node.operands)])
    return plain


def from_plain(plain: Sequence[Any]) -> Expression:
    """Inverse of `to_plain`. Raises ShapeError for a malformed list."""
    nodes: list[Expression] = []
    try:
        for kind, *rest in plain:
            if kind == "input":
                index, axis = rest
                nodes.append(Input(int(index), None if axis is None else int(axis)))
            elif kind == "constant":
                nodes.append(Constant(float.fromhex(rest[0])))
            else:
                if any(not 0 <= i < len(nodes) for i in rest):
                    raise ShapeError("operand refers to a later node")
                if kind not in OPERATORS or len(rest) != OPERATORS[kind][0]:
                    raise ShapeError(f"unknown operator {kind!r}")
                nodes.append(Apply(kind, tuple(nodes[i] for i in rest)))
        return nodes[-1]
    except (TypeError, ValueError, IndexError) as error:
        raise ShapeError(f"malformed expression ({error})") from None
