"""Trees and bushes."""

from __future__ import annotations

import numpy as np

from .canvas import Color, Point
from .randomness import Dice, sample_texture
from .view import Figure


def draw_tree(figure: Figure, dice: Dice) -> None:
    """A leafy, autumnal or coniferous tree, or a bush."""
    view = figure.view
    leaf = dice.weighted([
        ((0.20, 0.38, 0.14), 0.5), ((0.28, 0.44, 0.16), 0.25), ((0.58, 0.40, 0.12), 0.12),
        ((0.14, 0.30, 0.17), 0.13),
    ])  # fmt: skip
    is_bush = dice.chance(0.22)
    height = dice.uniform(0.7, 1.5) if is_bush else dice.uniform(4.5, 9.0)
    figure.shadow(height * 0.3, height * 0.2, 0.8)
    if not is_bush:
        figure.line((0, 0), (0, height * 0.55), 0.035 * height * 0.6, (0.26, 0.19, 0.13))
    salt = dice.bits()
    crowns = [(0.0, 0.68, 0.30, 0.32), (-0.14, 0.56, 0.20, 0.18), (0.15, 0.60, 0.20, 0.20)]
    if is_bush:
        crowns = [(0.0, 0.42, 0.6, 0.46)]
    for k, (x, y, across, down) in enumerate(crowns):
        centre = figure.at(x * height, y * height)
        _foliage(
            figure, centre, across * height * figure.scale, down * height * figure.scale,
            view.light.lit(leaf, figure.depth, 0.5), salt + 31 * k,
        )  # fmt: skip


def _foliage(
    figure: Figure, centre: Point, across: float, down: float, color: Color, salt: int
) -> None:
    """An ellipse with a ragged edge, brighter above."""
    canvas = figure.view.canvas
    reach = 1.25
    x0, x1 = (int(max(0, min(centre[0] + s * across * reach, canvas.width))) for s in (-1, 1))
    y0, y1 = (int(max(0, min(centre[1] + s * down * reach, canvas.height))) for s in (-1, 1))
    if x1 - x0 < 1 or y1 - y0 < 1 or across < 0.7:
        return
    x = (canvas.columns[x0:x1] - np.float32(centre[0])) * np.float32(1 / across)
    y = ((canvas.rows[y0:y1] - np.float32(centre[1])) * np.float32(1 / down))[:, None]
    # The pattern belongs to the crown, not to the pixels: the same at every picture size.
    noise = sample_texture((y + 2) * 40 + (salt & 255), (x + 2) * 40 + (salt >> 8 & 255))
    inside = np.float32(1.0) - (x * x + y * y) + (noise - np.float32(0.5)) * np.float32(1.5)
    coverage = np.clip(inside * np.float32(min(across, down) * 0.4) + np.float32(0.3), 0, 1)
    shade = np.float32(0.80) - np.float32(0.28) * y + (noise - np.float32(0.5)) * np.float32(0.9)
    paint = np.array(color, np.float32)[:, None, None] * np.clip(shade, 0.3, 1.5)
    canvas.blend((slice(y0, y1), slice(x0, x1)), coverage, paint)
