"""Drawing things one over the other, and what of them can still be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .canvas import SCENERY, Canvas
from .street import Thing

NOMINAL_WIDTH = 416
LEAST_VISIBLE = 0.35
LEAST_EXTENT, LEAST_BREADTH = 8.0, 3.0
"""Pixels of a picture NOMINAL_WIDTH wide; what is smaller bears no label."""


@dataclass(frozen=True)
class LabelledBox:
    """`label` indexes CLASS_NAMES; the box holds what is visible, in pixels; `visible` is the
    share of the object that is."""

    label: int
    left: float
    top: float
    right: float
    bottom: float
    visible: float


class Painter:
    """Draws things and remembers how much of each was drawn."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._drawn: list[tuple[int, int, float]] = []

    def draw(self, things: Sequence[Thing]) -> None:
        """Draw them in this order."""
        canvas = self._canvas
        for thing in things:
            if thing.label is None:
                canvas.owner = SCENERY
                thing.draw()
                continue
            owner = len(self._drawn) + 1
            canvas.owner = owner
            canvas.clear_extent()
            thing.draw()
            count = int(np.count_nonzero(canvas.owners == owner))
            self._drawn.append((thing.label, count, self._share_in_picture()))
        canvas.owner = SCENERY

    def boxes(self) -> tuple[LabelledBox, ...]:
        """The objects that can be seen well enough, from far to near."""
        unit = self._canvas.width / NOMINAL_WIDTH
        found = []
        for owner, (label, count, share) in enumerate(self._drawn, start=1):
            mask = self._canvas.owners == owner
            left_over = int(np.count_nonzero(mask))
            visible = share * left_over / max(count, 1)
            if not left_over or visible < LEAST_VISIBLE:
                continue
            columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
            left, right = float(columns[0]), float(columns[-1] + 1)
            top, bottom = float(rows[0]), float(rows[-1] + 1)
            sides = sorted((right - left, bottom - top))
            if sides[1] >= LEAST_EXTENT * unit and sides[0] >= LEAST_BREADTH * unit:
                found.append(LabelledBox(label, left, top, right, bottom, visible))
        return tuple(found)

    def _share_in_picture(self) -> float:
        """How much of the shapes' extent lies in the picture."""
        left, top, right, bottom = self._canvas.extent
        area = (right - left) * (bottom - top)
        across = min(right, self._canvas.width) - max(left, 0)
        down = min(bottom, self._canvas.height) - max(top, 0)
        return across * down / area if across > 0 and down > 0 else 0.0
