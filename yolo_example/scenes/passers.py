"""People, dogs and bicycles in the street."""

from __future__ import annotations

from math import cos, pi, sin

from . import cycling, walkers
from .classes import BICYCLE, DOG, PERSON
from .plan import JUNCTION_WIDTH
from .randomness import Dice
from .street import Street
from .view import Figure


def pass_by(street: Street) -> None:
    """Whoever has legs."""
    _ride(street)
    _walk(street)


def _walk(street: Street) -> None:
    plan, dice = street.plan, street.dice
    for _ in range(dice.integer(1, round(8 * street.busy) + 1)):
        side = dice.pick((-1, 1))
        along = dice.towards_low(4, 45)
        if plan.zebra is not None and dice.chance(0.3):
            across, along = (
                dice.uniform(-plan.road, plan.road),
                plan.zebra + dice.uniform(0.3, 2.7),
            )
        elif dice.chance(0.06):
            across = dice.uniform(-plan.road, plan.road)
        else:
            across = side * (plan.road + dice.uniform(0.4, plan.pavement - 0.3))
        _person(street, across, along)
        if dice.chance(0.3):
            _person(street, across + dice.uniform(0.6, 0.9), along + dice.uniform(-0.3, 0.3))
        if dice.chance(0.36):
            _dog(street, across + dice.uniform(-1.1, 1.1), along + dice.uniform(-0.8, 0.8))
    for _ in range(dice.integer(0, 2)):
        _dog(street, dice.uniform(-plan.kerb, plan.kerb), dice.towards_low(4, 22))


def _person(street: Street, across: float, along: float) -> None:
    dice = street.dice
    mirrored = dice.pick((-1.0, 1.0))
    height = walkers.person_height(dice)
    is_wet = street.view.light.rain > 0.4
    name = f"person {dice.bits()}"
    figure = street.figure(across, along, squeeze=mirrored)
    if figure is not None and street.is_free(across, along, 0.3):
        street.add(
            across, along, PERSON,
            lambda: walkers.draw_person(figure, Dice(name), height, is_wet),
        )  # fmt: skip


def _dog(street: Street, across: float, along: float) -> None:
    dice = street.dice
    turned = dice.pick((-1, 1)) * dice.uniform(0.55, 1.0)
    size, name = dice.uniform(0.38, 0.78), f"dog {dice.bits()}"
    figure = street.figure(across, along, squeeze=turned)
    if figure is not None and street.is_free(across, along, 0.35):
        street.add(across, along, DOG, lambda: walkers.draw_dog(figure, Dice(name), size))


def _ride(street: Street) -> None:
    """Cyclists along the street and across it, and bicycles left at the kerb."""
    plan, dice = street.plan, street.dice
    for _ in range(dice.integer(0, round(4 * street.busy) + 1)):
        side, along = dice.pick((-1, 1)), dice.towards_low(4, 40)
        rides = dice.chance(0.6)
        if not rides:
            _bicycle(
                street,
                side * (plan.road + dice.uniform(0.3, 0.9)),
                along,
                dice.uniform(-0.6, 0.6),
                False,
            )
        elif plan.junction is not None and dice.chance(0.35):
            heading = dice.pick((-1, 1)) * pi / 2
            lane = plan.junction + dice.uniform(1, JUNCTION_WIDTH - 1)
            _bicycle(street, dice.uniform(-8, 8), lane, heading, True)
        else:
            heading = (0.0 if side > 0 else pi) + dice.uniform(-0.45, 0.45)
            _bicycle(street, side * (plan.driven - dice.uniform(0.3, 0.9)), along, heading, True)


def _bicycle(street: Street, across: float, along: float, heading: float, is_ridden: bool) -> None:
    view, dice = street.view, street.dice
    # Its side as seen from here: the sine of the angle between heading and line of sight.
    right, depth = view.camera.sight(across, along)
    length = max((right * right + depth * depth) ** 0.5, 0.1)
    angle = heading - view.camera.yaw
    squeeze = (sin(angle) * depth - cos(angle) * right) / length
    squeeze = (1 if squeeze >= 0 else -1) * max(abs(squeeze), 0.1)
    figure = street.figure(across, along, squeeze=squeeze)
    name = f"bicycle {dice.bits()}"
    if figure is None or not street.is_free(across, along, 0.7):
        return
    front = Figure(view, across, along)

    def draw() -> None:
        cycling.draw_bicycle(figure, Dice(name))
        if abs(squeeze) < 0.6:
            cycling.draw_handlebar(front)

    street.add(across, along, BICYCLE, draw)
    if is_ridden:
        street.add(
            across, along, PERSON, lambda: cycling.draw_rider(figure, Dice(name + " rider")),
            nearer=0.05,
        )  # fmt: skip
