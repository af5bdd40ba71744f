"""Execution order of layers."""

from __future__ import annotations

from collections.abc import Sequence

from ...plugins import ShapeError
from .elements import Layer


def in_execution_order(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with every producer before its readers, in the given order where data allow.

    Raises ShapeError when they form a cycle.
    """
    position = {layer: k for k, layer in enumerate(layers)}
    placed: set[Layer] = set()
    ordered: list[Layer] = []
    for layer in layers:
        stack = [layer]
        while stack:
            top = stack[-1]
            waiting = [
                t.producer for t in top.present_inputs
                if t.producer is not None and t.producer not in placed
            ]
            if waiting:
                stack.append(min(waiting, key=position.__getitem__))
                if len(stack) > len(layers):
                    raise ShapeError(f"layers form a cycle through {top.name!r}")
                continue
            stack.pop()
            if top not in placed:
                placed.add(top)
                ordered.append(top)
    return ordered
