"""Traffic lights and street lamps."""

from __future__ import annotations

from .canvas import Color, scaled
from .furniture import POLE, rectangle
from .randomness import Dice
from .view import Figure

LAMP_COLORS: tuple[Color, ...] = ((1.0, 0.16, 0.10), (1.0, 0.72, 0.10), (0.15, 0.95, 0.50))
LAMP_GLASS: tuple[Color, ...] = ((0.22, 0.06, 0.05), (0.22, 0.16, 0.05), (0.05, 0.20, 0.12))
SIGNAL_WIDTH, SIGNAL_HEIGHT = 0.36, 0.98


def draw_signal_pole(figure: Figure, height: float, reach: float) -> None:
    """The pole of a traffic light whose head hangs at `height`, `reach` metres to the side."""
    figure.shadow(0.2, 0.15, 0.6)
    figure.line((0, 0), (0, height + (0.6 if reach else -0.1)), 0.07, POLE)
    if reach:
        figure.line((0, height + 0.5), (reach, height + 0.5), 0.05, POLE)


def draw_signal_head(figure: Figure, dice: Dice, height: float, reach: float) -> None:
    """The head of a traffic light with one or two of its lamps lit, or seen from behind."""
    half, tall = SIGNAL_WIDTH / 2, SIGNAL_HEIGHT
    case = dice.weighted(
        [((0.07, 0.08, 0.08), 0.7), ((0.55, 0.45, 0.12), 0.15), ((0.1, 0.2, 0.14), 0.15)]
    )
    has_board = dice.chance(0.25)
    if has_board:
        edge = 0.1
        figure.polygon(
            rectangle(reach - half - edge, height - edge, 2 * (half + edge), tall + 2 * edge),
            (0.8, 0.8, 0.8),
        )
        edge = 0.07
        figure.polygon(
            rectangle(reach - half - edge, height - edge, 2 * (half + edge), tall + 2 * edge), case
        )
    figure.polygon(rectangle(reach - half, height, 2 * half, tall), case)
    if dice.chance(0.12):  # from behind
        figure.polygon(
            rectangle(reach - half * 0.6, height + 0.1, half * 1.2, tall - 0.2), scaled(case, 1.3)
        )
        return
    lit = dice.weighted([(0, 0.45), (1, 0.12), (2, 0.43)])
    for k in range(3):
        centre = (reach, height + tall - 0.18 - 0.31 * k)
        figure.ellipse(centre, 0.125, 0.125, LAMP_GLASS[k])
        if k == lit:
            figure.lamp(centre, 0.12, LAMP_COLORS[k])


def draw_street_lamp(figure: Figure, height: float, reach: float) -> None:
    """A lamp post with an arm."""
    figure.shadow(0.2, 0.15, 0.6)
    figure.line((0, 0), (0, height), 0.07, POLE)
    figure.line((0, height), (reach, height + 0.25), 0.05, POLE)
    light = figure.view.light
    if light.lamps > 0.5:
        figure.lamp((reach, height + 0.18), 0.16, (1.0, 0.86, 0.58), 9.0)
    else:
        figure.line(
            (reach - 0.25, height + 0.22), (reach + 0.25, height + 0.22), 0.08, (0.6, 0.6, 0.6)
        )
