"""Vehicles, parked and under way."""

from __future__ import annotations

from math import pi

from .classes import BUS, CAR, TRUCK, VAN
from .plan import JUNCTION_WIDTH
from .solids import Pose
from .street import FARTHEST, Street
from .vehicles import BUILDERS

NEAREST_VEHICLE = 3.4


def drive(street: Street) -> None:
    """Whatever has an engine."""
    _park(street)
    _drive_along(street)
    _cross(street)


def _vehicle(street: Street, across: float, along: float, heading: float, label: int) -> bool:
    vehicle = BUILDERS[label](street.dice)
    pose = Pose(street.view, across, along, heading)
    if pose.nearest(vehicle.length, vehicle.width) < NEAREST_VEHICLE:
        return False
    forward = vehicle.length / 2 - 0.8
    circles = [(-forward, 1.0), (0.0, 1.1), (forward, 1.0)]
    places = [(*pose.ground(a, 0.0), r) for a, r in circles]
    for x, y, r in places:
        if any((x - u) ** 2 + (y - v) ** 2 < (r + s) ** 2 for u, v, s in street.taken):
            return False
    street.taken += places
    street.add(across, along, label, lambda: vehicle.draw(pose))
    return True


def _kind(street: Street, is_parked: bool = False) -> int:
    if is_parked:
        return street.dice.weighted([(CAR, 0.78), (VAN, 0.22)])
    return street.dice.weighted([(CAR, 0.34), (VAN, 0.20), (BUS, 0.23), (TRUCK, 0.23)])


def _park(street: Street) -> None:
    plan, dice = street.plan, street.dice
    if plan.parking < 1:
        return
    for side in (-1, 1):
        along = dice.uniform(3, 9)
        density = dice.uniform(0.05, 0.6)
        while along < 70:
            clear = not plan.in_junction(along, 6.5)
            if plan.zebra is not None and abs(along - plan.zebra - 1.5) < 5.5:
                clear = False
            if clear and dice.chance(density):
                heading = 0.0 if side > 0 or dice.chance(0.2) else pi
                _vehicle(street, side * (plan.road - 1.05), along, heading, _kind(street, True))
            along += dice.uniform(5.6, 7.5)


def _drive_along(street: Street) -> None:
    plan, dice = street.plan, street.dice
    for lane in range(plan.lanes):
        across = -plan.driven + (lane + 0.5) * plan.lane_width
        heading = 0.0 if across > 0 else pi
        along = dice.towards_low(5, 25)
        while along < FARTHEST:
            if dice.chance(0.62 * street.busy):
                drift = dice.uniform(-0.3, 0.3)
                turn = dice.uniform(-0.06, 0.06)
                _vehicle(street, across + drift, along, heading + turn, _kind(street))
            along += dice.uniform(7, 13) + 0.25 * along


def _cross(street: Street) -> None:
    """Vehicles on the other street."""
    plan, dice = street.plan, street.dice
    if plan.junction is None:
        return
    for lane, heading in ((0.27, -pi / 2), (0.73, pi / 2)):
        for _ in range(2):
            if dice.chance(0.5 * street.busy):
                across = dice.uniform(-18, 18)
                turn = dice.uniform(-0.5, 0.5) if dice.chance(0.25) else 0.0
                _vehicle(
                    street,
                    across,
                    plan.junction + lane * JUNCTION_WIDTH,
                    heading + turn,
                    _kind(street),
                )
