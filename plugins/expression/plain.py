"""The form in which expressions travel in plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from .analysis import walk
from .nodes import OPERATORS, Apply, Constant, Expression, Input


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
