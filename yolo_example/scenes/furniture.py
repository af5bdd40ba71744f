"""Signs, bins, stands and hoardings, none of which is labelled."""

from __future__ import annotations

from .canvas import Color, Point, mixed, scaled
from .randomness import Dice
from .view import Figure

POLE: Color = (0.30, 0.32, 0.33)


def draw_sign(figure: Figure, dice: Dice) -> None:
    """A road sign: round, triangular, square, or two of them."""
    height = dice.uniform(2.0, 2.5)
    figure.line((0, 0), (0, height + 0.3), 0.035, (0.5, 0.5, 0.52))
    red, white, blue, yellow = (
        (0.75, 0.1, 0.1),
        (0.9, 0.9, 0.9),
        (0.1, 0.28, 0.65),
        (0.9, 0.75, 0.15),
    )
    for k in range(dice.integer(1, 2)):
        y = height - 0.75 * k
        kind = dice.integer(0, 4)
        if kind == 0:
            figure.ellipse((0, y), 0.32, 0.32, red)
            figure.ellipse((0, y), 0.23, 0.23, white)
            figure.polygon(rectangle(-0.05, y - 0.12, 0.1, 0.24), (0.1, 0.1, 0.1))
        elif kind == 1:
            figure.polygon([(-0.38, y - 0.3), (0.38, y - 0.3), (0, y + 0.36)], red)
            figure.polygon([(-0.24, y - 0.22), (0.24, y - 0.22), (0, y + 0.2)], white)
        elif kind == 2:
            figure.polygon(rectangle(-0.3, y - 0.3, 0.6, 0.6), blue)
            figure.polygon(rectangle(-0.12, y - 0.2, 0.24, 0.4), white)
        elif kind == 3:
            figure.ellipse((0, y), 0.32, 0.32, red)
            figure.polygon(rectangle(-0.22, y - 0.06, 0.44, 0.12), white)
        else:
            figure.polygon([(-0.36, y), (0, y - 0.36), (0.36, y), (0, y + 0.36)], white)
            figure.polygon([(-0.27, y), (0, y - 0.27), (0.27, y), (0, y + 0.27)], yellow)


def draw_bin(figure: Figure, dice: Dice) -> None:
    """Something that stands about as people do: a bin, a pillar box, a bollard, a hydrant."""
    kind = dice.integer(0, 4)
    color = dice.pick(
        (
            (0.16, 0.32, 0.22),
            (0.72, 0.12, 0.12),
            (0.2, 0.2, 0.22),
            (0.8, 0.62, 0.12),
            (0.2, 0.3, 0.5),
        )
    )
    figure.shadow(0.35, 0.25, 0.8)
    if kind == 0:
        figure.polygon([(-0.24, 0), (0.24, 0), (0.28, 0.95), (-0.28, 0.95)], color)
        figure.line((-0.26, 1.0), (0.26, 1.0), 0.06, scaled(color, 0.7))
    elif kind == 1:
        figure.polygon(rectangle(-0.26, 0, 0.52, 1.4), color)
        figure.ellipse((0, 1.4), 0.29, 0.16, scaled(color, 0.85))
        figure.polygon(rectangle(-0.16, 1.15, 0.32, 0.06), (0.05, 0.05, 0.05))
    elif kind == 2:
        figure.polygon(rectangle(-0.09, 0, 0.18, 0.9), color)
        figure.ellipse((0, 0.9), 0.1, 0.1, color)
        figure.polygon(rectangle(-0.09, 0.65, 0.18, 0.1), (0.9, 0.9, 0.9))
    elif kind == 3:
        figure.line((0, 0.1), (0, 0.62), 0.13, color)
        figure.line((-0.2, 0.45), (0.2, 0.45), 0.06, color)
        figure.ellipse((0, 0.72), 0.11, 0.12, scaled(color, 0.85))
    else:
        figure.polygon(rectangle(-0.42, 0, 0.84, 1.35), color)
        figure.polygon(rectangle(-0.36, 0.12, 0.72, 1.1), scaled(color, 1.2))
        figure.line((0, 0.2), (0, 1.2), 0.01, (0.1, 0.1, 0.1))


def draw_hoops(figure: Figure, dice: Dice) -> None:
    """Stands for bicycles without bicycles."""
    for k in range(dice.integer(2, 3)):
        x = k * 0.8 - 0.8
        figure.line((x, 0), (x, 0.7), 0.03, (0.55, 0.56, 0.58))
        figure.line((x + 0.55, 0), (x + 0.55, 0.7), 0.03, (0.55, 0.56, 0.58))
        figure.line((x, 0.72), (x + 0.55, 0.72), 0.03, (0.55, 0.56, 0.58))


def draw_poster(figure: Figure, dice: Dice) -> None:
    """A hoarding on legs, as broad as a car."""
    width, low = dice.uniform(1.2, 3.0), dice.uniform(0.4, 1.2)
    high = low + dice.uniform(1.2, 1.8)
    for x in (-width * 0.35, width * 0.35):
        figure.line((x, 0), (x, low), 0.05, POLE)
    figure.polygon(rectangle(-width / 2, low, width, high - low), (0.85, 0.85, 0.83))
    inner = dice.pick(((0.8, 0.3, 0.2), (0.2, 0.45, 0.7), (0.85, 0.7, 0.2), (0.3, 0.6, 0.4)))
    figure.polygon(rectangle(-width / 2 + 0.08, low + 0.08, width - 0.16, high - low - 0.16), inner)
    x = dice.uniform(-0.25, 0.25) * width
    figure.ellipse((x, (low + high) / 2), 0.3, 0.35, mixed(inner, (1, 1, 1), 0.6))
    figure.polygon(rectangle(-width * 0.4, low + 0.15, width * 0.5, 0.16), (0.95, 0.95, 0.92))


def rectangle(x: float, y: float, width: float, height: float) -> list[Point]:
    """Corners of a rectangle from its lower left one."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
