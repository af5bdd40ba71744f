"""Cars and vans."""

from __future__ import annotations

from .canvas import Color
from .classes import CAR, VAN
from .randomness import Dice
from .solids import GLASS, Decal, Place, Prism, crosswise, upright
from .vehicle_parts import (
    LIVERIES,
    PAINTS,
    RED_LAMP,
    TRIM,
    WHITE_LAMP,
    Vehicle,
    front_lamps,
    rear_lamps,
    wheel_decals,
)


def car(dice: Dice) -> Vehicle:
    """A saloon, a hatchback, an estate or a high car."""
    style = dice.weighted([("saloon", 0.34), ("hatchback", 0.34), ("estate", 0.16), ("high", 0.16)])
    length = {"saloon": 4.6, "hatchback": 3.9, "estate": 4.7, "high": 4.5}[style]
    length *= dice.uniform(0.93, 1.06)
    top = (1.72 if style == "high" else 1.45) * dice.uniform(0.96, 1.05)
    belt = 0.95 if style != "high" else 1.08
    width, half = 1.80, 0.90
    front, back = length / 2, -length / 2
    paint = dice.pick(PAINTS)
    hood = front - dice.uniform(1.05, 1.25)
    trunk = back + {"saloon": 0.85, "hatchback": 0.12, "estate": 0.10, "high": 0.14}[style]
    body = Prism(
        [(back + 0.05, 0.28), (front - 0.08, 0.28), (front, 0.62), (hood, belt), (trunk, belt),
         (back, 0.75)],
        [half] * 6, paint,
    )  # fmt: skip
    body.strip_colors = {0: TRIM}
    wheel = 0.33
    for sides, b in ((body.right, -half), (body.left, half)):
        for a in (front - 0.85, back + 0.80):
            sides += wheel_decals(a, b, wheel)
        sides.append(Decal(upright(back + 0.3, front - 0.3, b, 0.28, 0.36), TRIM))
    body.strips[1] = [
        Decal(crosswise(front - 0.03, 0.45, 0.84, 0.55, 0.70), WHITE_LAMP, shines=True),
        Decal(crosswise(front - 0.03, -0.84, -0.45, 0.55, 0.70), WHITE_LAMP, shines=True),
        Decal(crosswise(front - 0.05, -0.40, 0.40, 0.42, 0.58), TRIM),
        Decal(crosswise(front - 0.05, -0.26, 0.26, 0.34, 0.43), (0.85, 0.85, 0.80)),
    ]
    lamps = [
        Decal(crosswise(back, b0, b0 + 0.3, 0.60, 0.82), RED_LAMP, shines=True)
        for b0 in (-0.86, 0.56)
    ]
    body.strips[5] = [*lamps, Decal(crosswise(back, -0.26, 0.26, 0.44, 0.56), (0.85, 0.85, 0.8))]
    roof_front, roof_back = hood - 0.72, trunk + (0.62 if style == "saloon" else 0.42)
    if style == "estate":
        roof_back = trunk + 0.22
    cabin = _cabin(hood + 0.05, trunk, roof_front, roof_back, belt, top, half, paint)
    vehicle = Vehicle(CAR, length, width, top)
    vehicle.add(0.0, body)
    vehicle.add(0.0, cabin)
    if dice.chance(0.06):
        sign = Prism(
            [(-0.12, top), (0.12, top), (0.12, top + 0.16), (-0.12, top + 0.16)], [0.35] * 4,
            (0.95, 0.80, 0.2),
        )  # fmt: skip
        vehicle.add(0.0, sign)
    return vehicle


def van(dice: Dice) -> Vehicle:
    """A panel van, or a minibus with windows all along."""
    length, half = dice.uniform(4.9, 6.0), 0.98
    top = dice.uniform(1.95, 2.55)
    front, back = length / 2, -length / 2
    paint = dice.weighted([((0.86, 0.86, 0.86), 0.4), (dice.pick(PAINTS), 0.6)])
    nose, cowl, roof = front - 0.1, front - 0.75, front - 1.45
    body = Prism(
        [(back, 0.32), (front - 0.05, 0.32), (front, 0.85), (cowl, 1.15), (roof, top), (back, top)],
        [half, half, half, half, 0.92, 0.92], paint,
    )  # fmt: skip
    has_windows = dice.chance(0.35)
    stripe = dice.pick(LIVERIES) if dice.chance(0.4) else None
    for sides, b in ((body.right, -half), (body.left, half)):
        slope = 0.03 if b < 0 else -0.03
        sides += [*wheel_decals(nose - 0.75, b, 0.36), *wheel_decals(back + 1.0, b, 0.36)]
        window: list[Place] = [
            (roof - 0.75, b + slope, 1.18), (cowl - 0.12, b + slope, 1.18),
            (roof + 0.02, b + slope, top - 0.25), (roof - 0.75, b + slope, top - 0.25),
        ]  # fmt: skip
        sides.append(Decal(window, GLASS, glass=True))
        if has_windows:
            for k in range(2):
                a1 = roof - 0.9 - k * 1.25
                sides.append(
                    Decal(upright(a1 - 1.1, a1, b + slope, 1.2, top - 0.25), GLASS, glass=True)
                )
        elif stripe is not None:
            sides.append(Decal(upright(back + 0.4, roof - 1.0, b, 0.95, 1.45), stripe))
    body.strips[3] = [
        Decal([(cowl - 0.05, -0.86, 1.2), (cowl - 0.05, 0.86, 1.2), (roof + 0.06, 0.82, top - 0.1),
               (roof + 0.06, -0.82, top - 0.1)], GLASS, glass=True),
    ]  # fmt: skip
    body.strips[1] = front_lamps(front - 0.02, half, 0.62)
    body.strips[5] = [
        *rear_lamps(back, half, 0.8, 1.15),
        Decal(crosswise(back, -0.75, -0.06, 1.25, top - 0.3), GLASS, glass=True),
        Decal(crosswise(back, 0.06, 0.75, 1.25, top - 0.3), GLASS, glass=True),
        Decal(crosswise(back, -0.02, 0.02, 0.45, top - 0.1), TRIM),
    ]
    vehicle = Vehicle(VAN, length, 2 * half, top)
    vehicle.add(0.0, body)
    return vehicle


def _cabin(
    front: float, back: float, roof_front: float, roof_back: float, belt: float, top: float,
    half: float, paint: Color,
) -> Prism:  # fmt: skip
    high, low = half * 0.76, half * 0.96
    cabin = Prism(
        [(back, belt - 0.02), (front, belt - 0.02), (roof_front, top), (roof_back, top)],
        [low, low, high, high], paint,
    )  # fmt: skip
    middle = (front + back) / 2 - 0.1
    for sides, sign in ((cabin.right, -1.0), (cabin.left, 1.0)):
        h0, h1 = belt + 0.05, top - 0.09

        def place(a: float, h: float, sign: float = sign) -> Place:
            share = (h - belt) / (top - belt)
            return (a, sign * (low + (high - low) * share), h)

        slope_front = (front - roof_front) * 0.9
        slope_back = (roof_back - back) * 0.9
        sides += [
            Decal([place(middle + 0.05, h0), place(front - 0.22, h0),
                   place(front - 0.12 - slope_front, h1), place(middle + 0.05, h1)],
                  GLASS, glass=True),
            Decal([place(back + 0.2, h0), place(middle - 0.05, h0), place(middle - 0.05, h1),
                   place(back + 0.12 + slope_back, h1)], GLASS, glass=True),
        ]  # fmt: skip
    cabin.strips[1] = [_screen(front, roof_front, low, high, belt, top)]
    cabin.strips[3] = [_screen(back, roof_back, low, high, belt, top)]
    return cabin


def _screen(base: float, roof: float, low: float, high: float, belt: float, top: float) -> Decal:
    def corner(share: float, sign: float) -> Place:
        width = (low + (high - low) * share) * 0.9
        return (base + (roof - base) * share, sign * width, belt + (top - belt) * share)

    return Decal(
        [corner(0.08, -1), corner(0.08, 1), corner(0.9, 1), corner(0.9, -1)], GLASS, glass=True
    )
