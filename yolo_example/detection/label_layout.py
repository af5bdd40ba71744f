"""Where the labels of boxes go, so that they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from PIL import ImageFont

from plugrt.plugins import Array

from .painting import Box, Font

SMALLEST_FONT, LEAST_FONT = 7.0, 12.0
"""Where a text would not fit into the picture, and else."""
FONT_SHARE = 1 / 38
"""Of the picture's extent, the side of the square of its area."""
LARGE_BOX, SMALL_BOX_FONT = 0.16, 0.68
"""Boxes below this share of the picture's extent have smaller fonts, down to so many times."""
CROWD, LEAST_CROWD_FONT = 16, 0.7
"""From so many boxes on, fonts become smaller, down to so many times."""

HIDES_LABEL, HIDES_BOX, STANDS_BACK = 10.0, 1.0, 0.05
"""What it costs a place to lie wholly on another label or box, and to be the next in order."""


@dataclass(frozen=True)
class Label:
    """A text, its font, where its baseline begins, and the box round it."""

    text: str
    font: Font
    origin: tuple[float, float]
    box: Box


def place_labels(
    texts: Sequence[str], boxes: Sequence[Box], line: float, width: int, height: int
) -> list[Label]:
    """A label for every box, the first with the first choice.

    Labels stay in a picture of this size unless they are larger. Where they can, they hide
    neither each other nor small boxes. `line` is the width of the boxes' frames.
    """
    labels: list[Label] = []
    everything = np.asarray(boxes, float).reshape(-1, 4)
    taken = np.zeros((0, 4))
    for index, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        size = font_size(box, len(texts), width, height)
        font, text_width = _fitting_font(text, size, width)
        ascent, descent = _heights(font)
        pad_x, pad_y = 0.4 * (ascent + descent) / 2, 0.12 * (ascent + descent)
        extent = (text_width + 2 * pad_x, ascent + descent + 2 * pad_y)
        places = np.array(list(_places(box, *extent, line)))
        places[:, 0] = np.clip(places[:, 0], 0, max(width - extent[0], 0))
        places[:, 1] = np.clip(places[:, 1], 0, max(height - extent[1], 0))
        corners = np.concatenate([places, places + extent], axis=1)
        others = np.delete(everything, index, axis=0)
        cost = HIDES_LABEL * _shared(corners, taken, own_share=True).sum(axis=1)
        cost += HIDES_BOX * _shared(corners, others, own_share=False).sum(axis=1)
        cost += STANDS_BACK * np.arange(len(places))
        left, top, right, bottom = map(float, corners[int(np.argmin(cost))])
        taken = np.concatenate([taken, [[left, top, right, bottom]]])
        origin = (left + pad_x, top + pad_y + ascent)
        labels.append(Label(text, font, origin, (left, top, right, bottom)))
    return labels


def font_size(box: Box, count: int, width: int, height: int) -> float:
    """The size of the font for a box among so many."""
    left, top, right, bottom = box
    extent = sqrt(width * height)
    side = sqrt(max(right - left, 0) * max(bottom - top, 0))
    factor = max(SMALL_BOX_FONT, min(1.0, side / (LARGE_BOX * extent)))
    factor *= max(LEAST_CROWD_FONT, min(1.0, sqrt(CROWD / count)))
    return round(max(LEAST_FONT, extent * FONT_SHARE * factor), 1)


def _places(box: Box, width: float, height: float, line: float) -> Iterator[tuple[float, float]]:
    """Where the upper left corner of a label of this size may be, the best place first."""
    left, top, right, bottom = box
    half = line / 2
    start, end = left - half, right + half - width
    above, below = top - half - height, bottom + half
    inside_top, inside_bottom = top - half, bottom + half - height
    for y in (above, inside_top, below, inside_bottom):
        yield start, y
    for y in (above, inside_top, below, inside_bottom):
        yield end, y
    for y in (above, inside_top, below, inside_bottom):
        yield (start + end) / 2, y
    # Beside the box, then further and further above and below it.
    for y in (inside_top, inside_bottom):
        yield right + half, y
        yield start - width, y
    for steps in (1, 2, 3):
        yield start, above - steps * height
        yield start, below + steps * height


def _shared(one: Array, other: Array, *, own_share: bool) -> Array:
    """The part of every box of `one` (or, not `own_share`, of `other`) in both, [one, other]."""
    low = np.maximum(one[:, np.newaxis, :2], other[:, :2])
    high = np.minimum(one[:, np.newaxis, 2:], other[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=2)
    sizes = one if own_share else other
    areas = np.prod(sizes[:, 2:] - sizes[:, :2], axis=1)
    areas = areas[:, np.newaxis] if own_share else areas
    shared: Array = both / np.maximum(areas, 1e-9)
    return shared


def _fitting_font(text: str, size: float, width: int) -> tuple[Font, float]:
    """A font of this size, or smaller if the text would be wider than the picture."""
    font = _font(size)
    extent = font.getlength(text)
    if extent > 0.94 * width:
        font = _font(max(SMALLEST_FONT, size * 0.94 * width / extent))
        extent = font.getlength(text)
    return font, extent


@lru_cache(64)
def _font(size: float) -> Font:
    return ImageFont.load_default(size)


def _heights(font: Font) -> tuple[float, float]:
    """Of what rises above the baseline, and of what hangs below."""
    _, top, _, bottom = font.getbbox("Ahgy", anchor="ls")
    return -top, bottom
