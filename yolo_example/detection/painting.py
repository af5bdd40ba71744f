"""Smooth shapes and text on pixels."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plugrt.plugins import Array

from .palette import Color

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Region = tuple[int, int, int, int]


class Canvas:
    """Paints on `pixels`, uint8 [height, width, 3], in place.

    Edges are smooth: a pixel takes as much of a color as the shape covers of it, measured by
    its distance from the shape's edge.
    """

    def __init__(self, pixels: Array) -> None:
        self.pixels = pixels

    def fill(self, box: Box, radius: float, color: Color, opacity: float = 1.0) -> None:
        """A rectangle with round corners."""
        for region in self._within([_enclosing(box, 1)]):
            self._blend(region, 0.5 - _distance(region, box, radius), color, opacity)

    def stroke(
        self, box: Box, radius: float, line: float, color: Color, opacity: float = 1.0
    ) -> None:
        """The outline of such a rectangle, half of the line's width on either side of it."""
        for region in self._within(_outline(box, radius + line / 2 + 1)):
            coverage = 0.5 + line / 2 - np.abs(_distance(region, box, radius))
            self._blend(region, coverage, color, opacity)

    def write(self, text: str, font: Font, origin: tuple[float, float], color: Color) -> None:
        """Text whose baseline begins at `origin`."""
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        x, y = origin
        for region in self._within([_enclosing((x + left, y + top, x + right, y + bottom), 2)]):
            size = (region[2] - region[0], region[3] - region[1])
            mask = Image.new("L", size)
            place = (x - region[0], y - region[1])
            ImageDraw.Draw(mask).text(place, text, fill=255, font=font, anchor="ls")
            self._blend(region, np.asarray(mask, np.float32) / 255, color, 1.0)

    def _within(self, regions: list[Region]) -> Iterator[Region]:
        """The regions' parts on the canvas."""
        height, width = self.pixels.shape[:2]
        for left, top, right, bottom in regions:
            cut = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
            if cut[0] < cut[2] and cut[1] < cut[3]:
                yield cut

    def _blend(self, region: Region, coverage: Array, color: Color, opacity: float) -> None:
        left, top, right, bottom = region
        below = self.pixels[top:bottom, left:right]
        share = (np.clip(coverage, 0, 1) * np.float32(opacity))[..., np.newaxis]
        mixed = below + (np.asarray(color, np.float32) - below) * share
        below[...] = np.rint(mixed).astype(np.uint8)


def _distance(region: Region, box: Box, radius: float) -> Array:
    """How far the centres of a region's pixels are outside a rectangle with round corners, below
    0 within it. Float32 [height, width]."""
    left, top, right, bottom = box
    half_width, half_height = (right - left) / 2, (bottom - top) / 2
    radius = min(radius, half_width, half_height)
    x = np.arange(region[0], region[2], dtype=np.float32) + 0.5
    y = np.arange(region[1], region[3], dtype=np.float32)[:, np.newaxis] + 0.5
    x = np.abs(x - (left + right) / 2) - (half_width - radius)
    y = np.abs(y - (top + bottom) / 2) - (half_height - radius)
    beside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    distance: Array = beside + np.minimum(np.maximum(x, y), 0) - np.float32(radius)
    return distance


def _outline(box: Box, reach: float) -> list[Region]:
    """Regions that hold what is within `reach` of a rectangle's edge, none twice."""
    left, top, right, bottom = _enclosing(box, reach)
    depth = ceil(2 * reach) + 1
    if right - left <= 2 * depth or bottom - top <= 2 * depth:
        return [(left, top, right, bottom)]
    return [
        (left, top, right, top + depth),
        (left, bottom - depth, right, bottom),
        (left, top + depth, left + depth, bottom - depth),
        (right - depth, top + depth, right, bottom - depth),
    ]


def _enclosing(box: Box, reach: float) -> Region:
    left, top, right, bottom = box
    return floor(left - reach), floor(top - reach), ceil(right + reach), ceil(bottom + reach)
