"""Patterns on planes in perspective. `step` is how much of the plane a pixel sees."""

from __future__ import annotations

import numpy as np

from .canvas import Color
from .randomness import Array


def lay(under: Array, over: Array, coverage: Array) -> None:
    """Cover `under` with `over` as far as `coverage` from 0 to 1 says, in place."""
    under += coverage * (over - under)


def band(values: Array, low: float, high: float, step: Array) -> Array:
    """1 where values lie within, with an edge one pixel wide."""
    scale = 1 / step
    left = np.clip((values - np.float32(low)) * scale + np.float32(0.5), 0, 1)
    right = np.clip((np.float32(high) - values) * scale + np.float32(0.5), 0, 1)
    # Narrower than a pixel, the sum of both edges is its share of the pixel.
    band: Array = np.maximum(left + right - 1, 0)
    return band


def repeated(values: Array, pitch: float, width: float, step: Array) -> Array:
    """1 on stripes of this width, one every `pitch`; their mean where they are too fine."""
    share = width / pitch
    place = values * np.float32(1 / pitch)
    place = np.abs(place - np.floor(place) - np.float32(0.5))
    pixel = step * np.float32(1 / pitch)
    stripes = np.clip((np.float32(share / 2) - place) / pixel + np.float32(0.5), 0, 1)
    blur = np.clip(pixel * 2 - np.float32(0.5), 0, 1)
    mean: Array = stripes + blur * (np.float32(share) - stripes)
    return mean


def column(color: Color) -> Array:
    """A color that broadcasts over [3, rows, columns]."""
    return np.array(color, np.float32)[:, None, None]
