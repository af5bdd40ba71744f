"""NumPy's value of an expression: the reference."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from .analysis import walk
from .nodes import OPERATORS, Apply, Constant, Expression, Input


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
