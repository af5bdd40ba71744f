"""The least value that a tensor can have, as far as the layer that writes it tells."""

from __future__ import annotations

from math import inf

from ..plugins import TensorNode
from ..plugins.expression import Apply, Constant, Expression, walk

NOT_NEGATIVE = frozenset({"abs", "exp", "logistic", "sqrt"})
"""Operators whose results are 0 and above."""


def least_value(tensor: TensorNode) -> float:
    """A bound below which no element lies; minus infinity where nothing is known."""
    producer = tensor.producer
    expression = None if producer is None else producer.plugin.pointwise()
    return -inf if expression is None else least_of(expression)


def least_of(expression: Expression) -> float:
    """A lower bound of an expression over unknown inputs."""
    bounds: dict[Expression, float] = {}
    for node in walk(expression):
        if isinstance(node, Constant):
            bounds[node] = float(node.value)
        elif isinstance(node, Apply):
            bounds[node] = _least(node, [bounds[operand] for operand in node.operands])
        else:
            bounds[node] = -inf
    return bounds[expression]


def _least(node: Apply, operands: list[float]) -> float:
    if node.operator in NOT_NEGATIVE:
        return 0.0
    if node.operator == "max":
        return max(operands)
    if node.operator == "min":
        return min(operands)
    if node.operator == "select":
        return min(operands[1:])
    return -inf
