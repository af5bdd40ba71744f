"""Buses and trucks."""

from __future__ import annotations

from .canvas import Color, mixed, scaled
from .classes import BUS, TRUCK
from .randomness import Dice
from .solids import GLASS, Decal, Prism, crosswise, upright
from .vehicle_parts import LIVERIES, PAINTS, TRIM, Vehicle, front_lamps, rear_lamps, wheel_decals

DISPLAY: Color = (1.0, 0.62, 0.12)


def bus(dice: Dice) -> Vehicle:
    """A city bus, sometimes of two floors."""
    is_double = dice.chance(0.18)
    length, half = dice.uniform(9.0, 12.0), 1.25
    top = 4.2 if is_double else dice.uniform(2.9, 3.15)
    front, back = length / 2, -length / 2
    paint = dice.pick(LIVERIES)
    body = Prism(
        [(back, 0.3), (front, 0.3), (front - 0.12, top), (back, top)], [half, half, 1.2, 1.2], paint
    )
    low = mixed(paint, (0.9, 0.9, 0.9), 0.85) if dice.chance(0.5) else scaled(paint, 0.7)
    floors = [(1.25, 2.45), (2.95, 3.9)] if is_double else [(1.25, 2.5)]
    count = dice.integer(5, 7)
    for sides, b in ((body.right, -half), (body.left, half)):
        sides.append(Decal(upright(back, front, b, 0.3, 0.8), low))
        for h0, h1 in floors:
            pitch = (length - 0.9) / count
            for k in range(count):
                a0 = back + 0.45 + k * pitch
                sides.append(Decal(upright(a0, a0 + pitch - 0.12, b, h0, h1), GLASS, glass=True))
        sides += [*wheel_decals(front - 2.4, b, 0.48), *wheel_decals(back + 2.6, b, 0.48)]
        if b < 0:
            for a in (front - 1.3, -0.4):
                sides.append(
                    Decal(upright(a - 0.5, a + 0.5, b, 0.42, 2.45), (0.2, 0.24, 0.27), glass=True)
                )
    windscreens = [Decal(crosswise(front - 0.05, -1.1, 1.1, 1.1, 2.35), GLASS, glass=True)]
    if is_double:
        windscreens.append(Decal(crosswise(front - 0.1, -1.05, 1.05, 2.95, 3.9), GLASS, glass=True))
    body.strips[1] = [
        *windscreens, *front_lamps(front, half, 0.62),
        Decal(crosswise(front - 0.08, -0.8, 0.8, 2.42, 2.72), (0.08, 0.08, 0.09)),
        Decal(crosswise(front - 0.08, -0.6, 0.6, 2.48, 2.66), DISPLAY),
    ]  # fmt: skip
    body.strips[3] = [
        *rear_lamps(back, half, 0.7, 1.0),
        Decal(crosswise(back, -0.95, 0.95, 1.6, 2.4), GLASS, glass=True),
        Decal(crosswise(back, -0.8, 0.8, 0.6, 1.2), TRIM),
    ]
    vehicle = Vehicle(BUS, length, 2 * half, top)
    vehicle.add(0.0, body)
    return vehicle


def truck(dice: Dice) -> Vehicle:
    """A cab with a box, a tarpaulin or an open bed behind it."""
    cargo_length, half = dice.uniform(4.2, 8.0), 1.25
    cab_length, cab_top = 2.0, dice.uniform(2.6, 3.2)
    length = cargo_length + cab_length + 0.3
    front, back = length / 2, -length / 2
    paint, box = dice.pick(PAINTS), dice.pick((*LIVERIES, (0.85, 0.85, 0.84), (0.7, 0.72, 0.74)))
    cab_back = front - cab_length
    cab = Prism(
        [(cab_back, 0.45), (front, 0.45), (front, 1.3), (front - 0.25, cab_top),
         (cab_back, cab_top)],
        [1.15] * 5, paint,
    )  # fmt: skip
    for sides, b in ((cab.right, -1.15), (cab.left, 1.15)):
        sides += wheel_decals(front - 0.95, b, 0.48)
        sides.append(
            Decal(upright(front - 1.3, front - 0.35, b, 1.5, cab_top - 0.35), GLASS, glass=True)
        )
    cab.strips[1] = [
        *front_lamps(front, 1.15, 0.75),
        Decal(crosswise(front, -0.8, 0.8, 0.85, 1.2), TRIM),
    ]
    cab.strips[2] = [
        Decal([(front - 0.04, -1.05, 1.5), (front - 0.04, 1.05, 1.5),
               (front - 0.2, 1.0, cab_top - 0.35), (front - 0.2, -1.0, cab_top - 0.35)],
              GLASS, glass=True),
    ]  # fmt: skip
    is_open = dice.chance(0.22)
    box_top = 1.7 if is_open else dice.uniform(3.0, 3.7)
    box_front = back + cargo_length
    cargo = Prism(
        [(back, 0.95), (box_front, 0.95), (box_front, box_top), (back, box_top)], [half] * 4, box
    )
    chassis = Prism(
        [(back + 0.2, 0.5), (cab_back, 0.5), (cab_back, 0.95), (back + 0.2, 0.95)], [0.95] * 4, TRIM
    )
    for sides, b in ((cargo.right, -half), (cargo.left, half)):
        for a in (back + 0.9, back + 2.0):
            sides += wheel_decals(a, b, 0.48)
        if not is_open and dice.chance(0.6):
            middle, size = (back + box_front) / 2, cargo_length * 0.3
            sides.append(
                Decal(upright(middle - size, middle + size, b, 1.7, 2.5), dice.pick(LIVERIES))
            )
    if is_open:
        cargo.strip_colors[2] = dice.pick(((0.45, 0.36, 0.26), (0.3, 0.3, 0.3), (0.55, 0.5, 0.4)))
    cargo.strips[3] = [
        Decal(crosswise(back, -0.03, 0.03, 1.0, box_top - 0.05), TRIM),
        *rear_lamps(back, half, 0.98, 1.12),
    ]
    vehicle = Vehicle(TRUCK, length, 2 * half, max(cab_top, box_top))
    vehicle.add((back + cab_back) / 2 - 0.01, chassis)
    vehicle.add((back + box_front) / 2, cargo)
    vehicle.add(front - cab_length / 2, cab)
    return vehicle
