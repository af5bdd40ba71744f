"""A street that fills: what is in it, and where there is room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .plan import StreetPlan
from .randomness import Dice
from .view import Figure, View

NEAREST_FIGURE = 2.0
NEAREST_POST = 5.0
FARTHEST = 95.0
"""Metres before the camera."""


@dataclass(frozen=True)
class Thing:
    """Something to draw at this depth; labelled unless `label` is None."""

    depth: float
    label: int | None
    draw: Callable[[], None]
    is_behind_houses: bool = False


class Street:
    """`things` are in no order; `taken` are circles on the ground (across, along, radius);
    `busy` is how much is going on, about 1."""

    def __init__(self, view: View, plan: StreetPlan, dice: Dice) -> None:
        self.view, self.plan, self.dice = view, plan, dice
        self.things: list[Thing] = []
        self.taken: list[tuple[float, float, float]] = []
        self.busy = dice.uniform(0.4, 1.3)

    def is_free(self, across: float, along: float, radius: float) -> bool:
        """Whether nothing stands there; if so, it does from now on."""
        for x, y, r in self.taken:
            if (x - across) ** 2 + (y - along) ** 2 < (r + radius) ** 2:
                return False
        self.taken.append((across, along, radius))
        return True

    def add(
        self, across: float, along: float, label: int | None, draw: Callable[[], None],
        nearer: float = 0.0,
    ) -> None:  # fmt: skip
        """A thing at a place; `nearer` by so many metres than another there."""
        depth = self.view.camera.depth(across, along) - nearer
        hidden = abs(across) > self.plan.wall and self.plan.in_junction(along, 2.0)
        self.things.append(Thing(depth, label, draw, hidden))

    def figure(
        self, across: float, along: float, nearest: float = NEAREST_FIGURE, squeeze: float = 1.0
    ) -> Figure | None:
        """A figure to draw at a place, or None where that is too near to the camera."""
        if self.view.camera.depth(across, along) < nearest:
            return None
        return Figure(self.view, across, along, squeeze)
