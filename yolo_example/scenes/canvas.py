"""A picture under construction: anti-aliased shapes, and which object every pixel shows.

Coverage of a pixel comes from its centre's distance to a shape's edge. Only additions,
products, quotients and square roots are made of arrays, which IEEE 754 rounds alike everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, hypot

import numpy as np

from .randomness import Array

Color = tuple[float, float, float]
Point = tuple[float, float]
Window = tuple[slice, slice]

SCENERY = 0
UNSEEN = 0.25
"""Pixels; polygons narrower than this are left out."""


class Canvas:
    """`pixels` float32 [3, height, width] from 0 to 1, `owners` the object at every pixel.

    Shapes belong to `owner`; `extent` is the smallest box round all shapes since it was
    cleared, in or out of the picture.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels: Array = np.zeros((3, height, width), np.float32)
        self.owners: Array = np.zeros((height, width), np.int16)
        self.owner = SCENERY
        self.columns = np.arange(width, dtype=np.float32) + np.float32(0.5)
        self.rows = np.arange(height, dtype=np.float32) + np.float32(0.5)
        self.clear_extent()

    def clear_extent(self) -> None:
        """Forget the shapes so far."""
        self.extent = [float("inf"), float("inf"), float("-inf"), float("-inf")]

    def polygon(
        self, corners: Sequence[Point], color: Color, opacity: float = 1.0, softness: float = 1.0
    ) -> None:
        """A convex polygon, its corners in either direction; its edge is `softness` wide."""
        found = self._polygon_coverage(corners, softness)
        if found is not None:
            self.blend(*found, color, opacity)

    def darken(self, corners: Sequence[Point], factor: float, softness: float) -> None:
        """Multiply what lies in a convex polygon: a shadow, which belongs to nobody."""
        extent = list(self.extent)
        found = self._polygon_coverage(corners, softness)
        self.extent = extent
        if found is not None:
            window, coverage = found
            self.pixels[:, window[0], window[1]] *= 1 - coverage * np.float32(1 - factor)

    def ellipse(
        self, centre: Point, across: float, down: float, color: Color, opacity: float = 1.0
    ) -> None:
        """A filled ellipse with these semi-axes."""
        x, y = centre
        window = self._window(x - across, y - down, x + across, y + down)
        if window is not None:
            distance = self._ellipse_distance(window, centre, across, down)
            coverage = np.clip(np.float32(0.5) - distance, 0, 1)
            peak = min(1.0, 2 * min(across, down))
            self.blend(window, coverage * np.float32(peak), color, opacity, 0.5 * peak)

    def ring(
        self, centre: Point, across: float, down: float, thickness: float, color: Color
    ) -> None:
        """An ellipse's outline."""
        x, y = centre
        half = thickness / 2
        window = self._window(
            x - across - half, y - down - half, x + across + half, y + down + half
        )
        if window is not None:
            distance = np.abs(self._ellipse_distance(window, centre, across, down))
            self._stroke(window, distance, half, color)

    def line(self, start: Point, end: Point, radius: float, color: Color) -> None:
        """A line with round ends."""
        (x0, y0), (x1, y1) = start, end
        window = self._window(
            min(x0, x1) - radius, min(y0, y1) - radius, max(x0, x1) + radius, max(y0, y1) + radius
        )
        if window is None:
            return
        dx, dy = x1 - x0, y1 - y0
        squared = max(dx * dx + dy * dy, 1e-9)
        x = self.columns[window[1]] - np.float32(x0)
        y = (self.rows[window[0]] - np.float32(y0))[:, None]
        along = np.clip(x * np.float32(dx / squared) + y * np.float32(dy / squared), 0, 1)
        off_x, off_y = x - along * np.float32(dx), y - along * np.float32(dy)
        self._stroke(window, np.sqrt(off_x * off_x + off_y * off_y), radius, color)

    def glow(self, centre: Point, radius: float, color: Color) -> None:
        """Add light that fades from `centre` to nothing at `radius`; it belongs to nobody."""
        extent = list(self.extent)
        window = self._window(
            centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius
        )
        self.extent = extent
        if window is None or radius < 0.5:
            return
        x = (self.columns[window[1]] - np.float32(centre[0])) * np.float32(1 / radius)
        y = ((self.rows[window[0]] - np.float32(centre[1])) * np.float32(1 / radius))[:, None]
        strength = np.clip(1 - (x * x + y * y), 0, 1)
        strength = strength * strength * strength
        self.pixels[:, window[0], window[1]] += strength * _as_column(color)

    def blend(
        self, window: Window, coverage: Array, color: Color | Array, opacity: float = 1.0,
        owned_from: float = 0.5,
    ) -> None:  # fmt: skip
        """Lay a color, or one per pixel [3, rows, columns], over a window as `coverage` says."""
        region = self.pixels[:, window[0], window[1]]
        paint = _as_column(color) if isinstance(color, tuple) else color
        weight = coverage if opacity == 1 else coverage * np.float32(opacity)
        region += weight * (paint - region)
        if opacity > 0.5:
            np.copyto(self.owners[window], self.owner, where=coverage > owned_from)

    def _stroke(self, window: Window, distance: Array, radius: float, color: Color) -> None:
        # A line thinner than a pixel keeps its width of one and loses strength instead.
        peak = min(1.0, 2 * radius)
        coverage = np.clip(np.float32(max(radius, 0.5) + 0.5) - distance, 0, 1)
        self.blend(window, coverage * np.float32(peak), color, 1.0, 0.5 * peak)

    def _polygon_coverage(
        self, corners: Sequence[Point], softness: float
    ) -> tuple[Window, Array] | None:
        across, down = [x for x, _ in corners], [y for _, y in corners]
        left, top, right, bottom = min(across), min(down), max(across), max(down)
        window = self._window(left, top, right, bottom, softness / 2)
        if window is None or min(right - left, bottom - top) < UNSEEN:
            return None
        turned = 1.0 if _doubled_area(corners) > 0 else -1.0
        normals: list[tuple[float, float, float]] = []
        for k, (x, y) in enumerate(corners):
            dx, dy = x - corners[k - 1][0], y - corners[k - 1][1]
            length = hypot(dx, dy) * turned
            if abs(length) > 1e-6:
                normals.append((-dy / length, dx / length, (dy * x - dx * y) / length))
        if len(normals) < 3:
            return None
        a, b, c = np.array(normals, np.float32).T[:, :, None]
        in_row = a * self.columns[window[1]] + c
        in_column = b * self.rows[window[0]]
        inside = (in_row[:, None, :] + in_column[:, :, None]).min(axis=0)
        coverage = np.clip(inside * np.float32(1 / softness) + np.float32(0.5), 0, 1)
        return window, coverage

    def _ellipse_distance(self, window: Window, centre: Point, across: float, down: float) -> Array:
        """Nearly the distance to the outline: the implicit function over its gradient."""
        across, down = max(across, 0.3), max(down, 0.3)
        x = (self.columns[window[1]] - np.float32(centre[0])) * np.float32(1 / across)
        y = ((self.rows[window[0]] - np.float32(centre[1])) * np.float32(1 / down))[:, None]
        value = x * x + y * y
        slope_x, slope_y = x * np.float32(2 / across), y * np.float32(2 / down)
        slope = np.sqrt(slope_x * slope_x + slope_y * slope_y) + np.float32(1e-4)
        distance: Array = (value - 1) / slope
        return distance

    def _window(
        self, left: float, top: float, right: float, bottom: float, margin: float = 0.5
    ) -> Window | None:
        """The pixels of a box that lie in the picture, or None."""
        extent = self.extent
        self.extent = [
            min(extent[0], left), min(extent[1], top), max(extent[2], right), max(extent[3], bottom)
        ]  # fmt: skip
        if not (right - left < 1e6 and bottom - top < 1e6):
            return None
        x0, x1 = max(floor(left - margin), 0), min(ceil(right + margin), self.width)
        y0, y1 = max(floor(top - margin), 0), min(ceil(bottom + margin), self.height)
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def mixed(first: Color, second: Color, share: float) -> Color:
    """`first` with this share of `second`."""
    r, g, b = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    return (r, g, b)


def scaled(color: Color, factor: float) -> Color:
    """A color made brighter or darker."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def _as_column(color: Color) -> Array:
    return np.array(color, np.float32)[:, None, None]


def _doubled_area(corners: Sequence[Point]) -> float:
    return sum(corners[k - 1][0] * y - x * corners[k - 1][1] for k, (x, y) in enumerate(corners))
