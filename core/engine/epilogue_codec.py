"""Fused pointwise layers as plain values, and whether their operands fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...plugins import (
    DimLike,
    Epilogue,
    EpilogueStep,
    PlanError,
    Shape,
    ShapeError,
    TensorDesc,
)
from ...plugins.expression import from_plain, inputs_of, to_plain
from .dims_codec import MAXIMUM_RANK
from .plain import integer, items, one_line, optional, refuse, row, text

MAXIMUM_STEPS = 64
MAXIMUM_OPERANDS = 64
MAXIMUM_NODES = 1024
MAXIMUM_DEPTH = 160
"""Operators behind one another, over all steps: expressions are walked recursively."""


def encode_epilogue(epilogue: Epilogue) -> list[list[Any]]:
    """The steps as `[name, operands, nodes]`. Raises PlanError when they exceed the limits."""
    plain = [[step.name, step.operands, to_plain(step.expression)] for step in epilogue.steps]
    decode_epilogue(plain, "epilogue")
    return plain


def decode_epilogue(value: Any, what: str) -> Epilogue:
    """Inverse of `encode_epilogue`. Raises PlanError naming the field."""
    found = items(value, what, _step, MAXIMUM_STEPS)
    if sum(depth for _, depth in found) > MAXIMUM_DEPTH:
        refuse(what, "an epilogue nested too deeply", f"at most {MAXIMUM_DEPTH} levels")
    return Epilogue(tuple(step for step, _ in found))


def _step(value: Any, what: str) -> tuple[EpilogueStep, int]:
    """A step, and how deeply its expression is nested."""
    name, operands, nodes = row(value, what, 3)
    integer(operands, what, 0, MAXIMUM_OPERANDS)
    plain = items(nodes, what, _node, MAXIMUM_NODES)
    depth = _depth(plain, what)
    try:
        expression = from_plain(plain)
    except (ShapeError, ArithmeticError) as error:
        raise PlanError(f"{what}: {one_line(error)}; build the plan again") from None
    for leaf in inputs_of(expression):
        if not 0 <= leaf.index <= operands or (leaf.index == 0 and leaf.axis is not None):
            refuse(what, f"an expression that reads {leaf}", f"inputs 0 to {operands}")
    return EpilogueStep(expression, operands, text(name, what)), depth


def _node(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        refuse(what, value, "a node [operator, operands...]")
    if value[0] == "constant":
        text(row(value, what, 2)[1], what)
    elif value[0] == "input":
        _, index, axis = row(value, what, 3)
        integer(index, what, 0, MAXIMUM_OPERANDS)
        optional(axis, what, lambda item, at: integer(item, at, -MAXIMUM_RANK, MAXIMUM_RANK))
    return value


def _depth(nodes: Sequence[list[Any]], what: str) -> int:
    """Nesting of the last node, found without recursion."""
    depths: list[int] = []
    for position, (kind, *rest) in enumerate(nodes):
        inner = [] if kind in ("input", "constant") else rest
        positions = [integer(operand, what, 0, position - 1) for operand in inner]
        depths.append(1 + max((depths[k] for k in positions), default=0))
        if depths[-1] > MAXIMUM_DEPTH:
            refuse(what, "an expression nested too deeply", f"at most {MAXIMUM_DEPTH} levels")
    return depths[-1] if depths else 0


def check_operands(
    epilogue: Epilogue, operands: Sequence[TensorDesc | None], output: Shape, what: str
) -> None:
    """Every operand broadcasts to output 0, or is a vector along one of its axes.

    Raises PlanError: kernels rely on it when they read the operands.
    """
    first = 0
    for step in epilogue.steps:
        mine = operands[first : first + step.operands]
        first += step.operands
        if any(operand is None for operand in mine):
            raise PlanError(f"{what}: an operand of {step.name!r} is missing; build it again")
        for leaf in inputs_of(step.expression):
            operand = mine[leaf.index - 1] if leaf.index else None
            if operand is None:
                continue
            fits = (
                _broadcasts(operand.shape, output) if leaf.axis is None
                else _is_vector(operand.shape, output, leaf.axis)
            )
            if not fits:
                raise PlanError(
                    f"{what}: operand {leaf} of {step.name!r} ({operand}) does not fit the "
                    "output; build the plan again"
                )


def _broadcasts(shape: Shape, output: Shape) -> bool:
    behind: Sequence[DimLike] = output[len(output) - len(shape) :]
    return len(shape) <= len(output) and all(
        size in (1, wanted) for size, wanted in zip(shape, behind, strict=True)
    )


def _is_vector(shape: Shape, output: Shape, axis: int) -> bool:
    long = [size for size in shape if size != 1]
    inside = -len(output) <= axis < len(output)
    return inside and (not long or long == [output[axis]])
