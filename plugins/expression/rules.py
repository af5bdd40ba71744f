"""Simplifications that make expressions canonical."""

from __future__ import annotations

from collections.abc import Callable

from .nodes import RULES, Apply, Constant, Expression, Rule, apply


def is_number(term: Expression, value: float) -> bool:
    return isinstance(term, Constant) and term.value == value


def _rule(operator: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of an operator."""

    def register(rule: Rule) -> Rule:
        RULES[operator] = rule
        return rule

    return register


@_rule("add")
def _add(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if is_number(right, 0):
        return left
    if isinstance(right, Constant) and isinstance(left, Apply) and left.operator == "add":
        inner = left.operands[1]
        if isinstance(inner, Constant):  # (a + c1) + c2
            return apply("add", left.operands[0], inner.value + right.value)
    return None


@_rule("sub")
def _sub(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if isinstance(right, Constant):
        return apply("add", left, -right.value)
    return apply("neg", right) if is_number(left, 0) else None


@_rule("mul")
def _mul(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if is_number(right, 1):
        return left
    if is_number(right, -1):
        return apply("neg", left)
    if isinstance(right, Constant) and isinstance(left, Apply) and left.operator == "mul":
        inner = left.operands[1]
        if isinstance(inner, Constant):
            return apply("mul", left.operands[0], inner.value * right.value)
    return None


@_rule("div")
def _div(terms: list[Expression]) -> Expression | None:
    left, right = terms
    if isinstance(right, Constant) and right.value != 0:
        return apply("mul", left, 1.0 / right.value)
    if is_number(left, 1):  # 1 / (1 + exp(-x)) is the logistic function
        if isinstance(right, Apply) and right.operator == "add" and is_number(right.operands[1], 1):
            power = right.operands[0]
            if isinstance(power, Apply) and power.operator == "exp":
                return apply("logistic", apply("neg", power.operands[0]))
        if isinstance(right, Apply) and right.operator == "sqrt":
            return apply("rsqrt", right.operands[0])
    return None


@_rule("neg")
def _neg(terms: list[Expression]) -> Expression | None:
    (term,) = terms
    if isinstance(term, Apply) and term.operator == "neg":
        return term.operands[0]
    if isinstance(term, Apply) and term.operator == "mul" and isinstance(
        term.operands[1], Constant
    ):
        return apply("mul", term.operands[0], -term.operands[1].value)
    return None


@_rule("pow")
def _pow(terms: list[Expression]) -> Expression | None:
    base, exponent = terms
    if is_number(exponent, 1):
        return base
    if is_number(exponent, 2):
        return apply("mul", base, base)
    return apply("sqrt", base) if is_number(exponent, 0.5) else None


@_rule("select")
def _select(terms: list[Expression]) -> Expression | None:
    condition, yes, no = terms
    if yes == no:
        return yes
    # where(x > 0, x, c * x) and its mirror are max(x, c * x) for 0 <= c <= 1
    if isinstance(condition, Apply) and condition.operator in ("lt", "le"):
        low, high = condition.operands
        if is_number(low, 0) and high == yes:
            x, other = yes, no
        elif is_number(high, 0) and low == no:
            return _select([apply("lt", 0, no), no, yes])
        elif is_number(high, 0) and low != no:
            x, other = no, yes
            if low != x:
                return None
        else:
            return None
        if is_number(other, 0):
            return apply("max", x, 0)
        if isinstance(other, Apply) and other.operator == "mul" and other.operands[0] == x:
            factor = other.operands[1]
            if isinstance(factor, Constant) and 0 <= factor.value <= 1:
                return apply("max", x, other)
    return None
