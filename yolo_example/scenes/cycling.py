"""Bicycles and who rides them."""

from __future__ import annotations

from math import cos, sin

from .canvas import Color, scaled
from .randomness import Dice
from .view import Figure
from .walkers import CLOTHES, HAIRS, SHOE, SKINS, TROUSERS, draw_head

RUBBER: Color = (0.07, 0.07, 0.08)


def draw_bicycle(figure: Figure, dice: Dice) -> None:
    """A bicycle along x, its front to the right."""
    color, radius = dice.pick(CLOTHES), 0.34
    figure.shadow(0.85, 0.18, 0.7)
    rear, front, crank = (-0.52, radius), (0.54, radius), (-0.08, 0.32)
    saddle, head = (-0.22, 0.88), (0.40, 0.92)
    for wheel in (rear, front):
        figure.ring(wheel, radius - 0.02, 0.055, RUBBER)
        figure.ring(wheel, radius - 0.05, 0.018, (0.6, 0.6, 0.62))
        figure.line((wheel[0], wheel[1] - 0.03), (wheel[0], wheel[1] + 0.03), 0.03, RUBBER)
    for start, end in ((rear, crank), (rear, (-0.18, 0.74)), (crank, saddle), (crank, (0.42, 0.72)),
                       ((-0.18, 0.74), (0.41, 0.80)), (front, head)):  # fmt: skip
        figure.line(start, end, 0.024, color)
    figure.line((-0.34, 0.92), (-0.12, 0.93), 0.035, RUBBER)
    figure.line((0.36, 1.0), head, 0.02, (0.3, 0.3, 0.3))
    figure.line((0.36, 1.0), (0.50, 1.0), 0.022, RUBBER)
    if dice.chance(0.3):
        figure.polygon([(0.5, 0.78), (0.82, 0.82), (0.84, 1.02), (0.5, 1.0)], (0.45, 0.36, 0.24))


def draw_handlebar(figure: Figure) -> None:
    """What shows of a bicycle that is seen along its length; `figure` is unturned."""
    figure.line((-0.3, 1.0), (0.3, 1.0), 0.022, RUBBER)
    figure.line((0.0, 0.06), (0.0, 0.66), 0.035, RUBBER)


def draw_rider(figure: Figure, dice: Dice) -> None:
    """Somebody on a bicycle drawn by `draw_bicycle`."""
    top, below = dice.pick(CLOTHES), dice.pick(TROUSERS)
    skin, hair = dice.pick(SKINS), dice.pick(HAIRS)
    turn = dice.uniform(0, 6.28)
    for side in (-1, 1):
        pedal = (-0.08 + side * 0.16 * cos(turn), 0.32 + side * 0.16 * sin(turn))
        knee = (pedal[0] * 0.5 + 0.18, 0.60 + 0.3 * (pedal[1] - 0.2))
        shade = below if side > 0 else scaled(below, 0.75)
        figure.line((-0.2, 0.95), knee, 0.08, shade)
        figure.line(knee, pedal, 0.06, shade)
        figure.line(pedal, (pedal[0] + 0.1, pedal[1]), 0.045, SHOE)
    figure.line((-0.2, 1.0), (0.06, 1.46), 0.155, top)
    figure.line((0.08, 1.45), (0.25, 1.18), 0.055, scaled(top, 0.85))
    figure.line((0.25, 1.18), (0.43, 1.02), 0.045, skin)
    figure.line((0.10, 1.5), (0.14, 1.62), 0.055, skin)
    has_helmet = dice.chance(0.5)
    draw_head(figure, (0.17, 1.73), 1.0, skin, dice.pick(CLOTHES) if has_helmet else hair, False)
