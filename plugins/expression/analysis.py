"""Looking into expressions: their inputs, renamed inputs, affine form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .nodes import Apply, Constant, Expression, Input, apply
from .rules import is_number


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
    return part is None or not is_number(part[0], 0)


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
    if node.operator == "mul" and is_number(c, 0):
        return apply("mul", a, d), apply("mul", b, d)
    if node.operator == "mul" and is_number(a, 0):
        return apply("mul", c, b), apply("mul", d, b)
    if node.operator == "div" and is_number(c, 0):
        return apply("div", a, d), apply("div", b, d)
    return None
