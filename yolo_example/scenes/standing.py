"""What stands along the street, and where."""

from __future__ import annotations

from collections.abc import Callable

from . import furniture, signals
from .classes import TRAFFIC_LIGHT
from .plan import LAMP_ARM, LAMP_DISTANCE
from .randomness import Dice
from .street import FARTHEST, NEAREST_POST, Street
from .trees import draw_tree
from .view import Figure


def furnish(street: Street) -> None:
    """Lamps, trees, signs, bins and traffic lights."""
    _furnish(street)
    _signals(street)


def _signals(street: Street) -> None:
    plan, dice = street.plan, street.dice
    stop = plan.junction if plan.junction is not None else plan.zebra
    if stop is None or not dice.chance(0.9):
        return
    places = [(plan.road + 0.5, stop - 5.0), (-plan.road - 0.5, stop - 5.0)]
    if plan.junction is not None:
        places += [(plan.road + 0.5, stop + 12.5), (-plan.road - 0.5, stop + 12.5)]
    for across, along in places:
        figure = street.figure(across, along, NEAREST_POST)
        if figure is None or not dice.chance(0.85):
            continue
        has_arm = dice.chance(0.3)
        height = dice.uniform(4.6, 5.4) if has_arm else dice.uniform(2.1, 2.7)
        reach = (-2.6 if across > 0 else 2.6) if has_arm else 0.0
        _signal(street, figure, across, along, height, reach, f"signal {dice.bits()}")
        if has_arm and dice.chance(0.7):
            _signal(street, figure, across, along, 2.3, 0.0, f"signal {dice.bits()}")


def _signal(
    street: Street,
    figure: Figure,
    across: float,
    along: float,
    height: float,
    reach: float,
    name: str,
) -> None:
    street.taken.append((across, along, 0.3))
    street.add(across, along, None, lambda: signals.draw_signal_pole(figure, height, reach))
    street.add(
        across, along, TRAFFIC_LIGHT,
        lambda: signals.draw_signal_head(figure, Dice(name), height, reach), nearer=0.05,
    )  # fmt: skip


def _furnish(street: Street) -> None:
    plan, dice = street.plan, street.dice
    has_trees = dice.chance(0.6 if plan.is_town else 0.95)
    height = dice.uniform(5.5, 7)
    for k, side in enumerate((-1, 1)):
        along = plan.lamps[k] if plan.lamps is not None else FARTHEST
        while along < FARTHEST:
            figure = street.figure(side * plan.lamp_post, along, NEAREST_POST)
            if figure is not None and not plan.in_junction(along, 1):
                _lamp(street, figure, side, along, height)
            along += LAMP_DISTANCE
        along = dice.uniform(6, 14)
        while has_trees and along < 80:
            if dice.chance(0.7) and not plan.in_junction(along, 2):
                lawn = dice.uniform(0.8, max(plan.setback - 1, 1.0)) if not plan.is_town else -1.2
                _plain(street, side * (plan.kerb + lawn), along, draw_tree)
            along += dice.uniform(5, 11)
    kinds = [
        (furniture.draw_bin, 0.42), (furniture.draw_sign, 0.3), (furniture.draw_hoops, 0.12),
        (furniture.draw_poster, 0.16),
    ]  # fmt: skip
    for _ in range(dice.integer(1, 7)):
        side, along = dice.pick((-1, 1)), dice.towards_low(4, 40)
        if not plan.in_junction(along, 1):
            across = side * (plan.road + dice.uniform(0.4, plan.pavement - 0.3))
            _plain(street, across, along, dice.weighted(kinds))


def _lamp(street: Street, figure: Figure, side: int, along: float, height: float) -> None:
    street.add(
        side * street.plan.lamp_post, along, None,
        lambda: signals.draw_street_lamp(figure, height, -LAMP_ARM * side),
    )  # fmt: skip


def _plain(
    street: Street, across: float, along: float, draw: Callable[[Figure, Dice], None]
) -> None:
    name = f"plain {street.dice.bits()}"
    figure = street.figure(across, along, NEAREST_POST)
    if figure is not None and street.is_free(across, along, 0.4):
        street.add(across, along, None, lambda: draw(figure, Dice(name)))
