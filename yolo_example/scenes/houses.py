"""Walls of houses. On a wall, the place along it depends on the picture's column alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import NEAREST
from .canvas import Color, mixed, scaled
from .plan import JUNCTION_WIDTH, StreetPlan
from .randomness import Array, Dice, hashed_fraction
from .surfaces import band, column, lay, repeated
from .view import View

FACADES: tuple[Color, ...] = (
    (0.70, 0.62, 0.52), (0.62, 0.36, 0.28), (0.78, 0.74, 0.66), (0.55, 0.56, 0.58),
    (0.72, 0.55, 0.42), (0.60, 0.64, 0.66), (0.80, 0.72, 0.50), (0.48, 0.40, 0.36),
    (0.66, 0.70, 0.60), (0.74, 0.60, 0.58),
)  # fmt: skip
SHOPS: tuple[Color, ...] = (
    (0.16, 0.30, 0.45), (0.60, 0.14, 0.14), (0.15, 0.36, 0.26), (0.75, 0.60, 0.18),
    (0.20, 0.20, 0.22),
)  # fmt: skip


@dataclass(frozen=True)
class House:
    """One house on a `side` (-1 left, 1 right) from `near` to `far` along the street."""

    side: int
    near: float
    far: float
    height: float
    depth: float
    floor: float
    pitch: float
    window: float
    color: Color
    shop: Color | None
    salt: int

    @property
    def middle(self) -> float:
        """Where it lies along the street."""
        return (self.near + self.far) / 2


def draw_houses(plan: StreetPlan, dice: Dice) -> list[House]:
    """Both sides, from near to far."""
    found = []
    for side in (-1, 1):
        along = dice.uniform(-6, 0)
        while along < 130:
            width = dice.uniform(8, 20)
            end = along + width
            if plan.junction is not None and along < plan.junction < end + 1:
                end = plan.junction - plan.pavement
            if plan.is_town or dice.chance(0.75):
                height = dice.uniform(9, 24) if plan.is_town else dice.uniform(4.5, 10)
                if end - along > 3:
                    found.append(_house(side, along, end, height, dice))
            along = end + (0.0 if plan.is_town and dice.chance(0.8) else dice.uniform(1.5, 8))
            if plan.in_junction(along, plan.pavement + 0.1):
                along = (plan.junction or 0.0) + JUNCTION_WIDTH + plan.pavement
    return found


def _house(side: int, near: float, far: float, height: float, dice: Dice) -> House:
    return House(
        side, near, far, height, dice.uniform(6, 12), dice.uniform(2.9, 3.5),
        dice.uniform(1.9, 3.4), dice.uniform(0.4, 0.65), dice.pick(FACADES),
        dice.pick(SHOPS) if dice.chance(0.45) else None, dice.bits(),
    )  # fmt: skip


def draw_house(view: View, plan: StreetPlan, house: House) -> None:
    """The wall on the street and the one that looks back down the street."""
    wall = house.side * plan.wall
    back = house.side * (plan.wall + house.depth)
    _draw_wall(view, house, (back, house.near), (wall, house.near), 0.25)
    lit = 0.6 if house.side * view.light.direction[0] < 0 else 0.15
    _draw_wall(view, house, (wall, house.near), (wall, house.far), lit)


def _draw_wall(
    view: View, house: House, start: tuple[float, float], end: tuple[float, float], facing: float
) -> None:
    camera, canvas = view.camera, view.canvas
    (x0, z0), (x1, z1) = camera.sight(*start), camera.sight(*end)
    length = ((x1 - x0) ** 2 + (z1 - z0) ** 2) ** 0.5
    if max(z0, z1) <= NEAREST or length < 0.1:
        return
    tx, tz = (x1 - x0) / length, (z1 - z0) / length
    normal_x, normal_z = tz, -tx
    offset = normal_x * x0 + normal_z * z0
    s0, s1 = 0.0, length
    if z0 < NEAREST:
        s0 = (NEAREST - z0) / tz
    if z1 < NEAREST:
        s1 = (NEAREST - z0) / tz
    edges = [camera.pixel(x0 + tx * s, z0 + tz * s, 0)[0] for s in (s0, s1)]
    left, right = max(int(min(edges)), 0), min(int(max(edges)) + 1, canvas.width)
    if left >= right:
        return
    slope = (canvas.columns[left:right] - np.float32(camera.centre)) * np.float32(1 / camera.focal)
    divisor = np.float32(normal_x) * slope + np.float32(normal_z)
    depth = np.float32(offset) / np.where(np.abs(divisor) < 1e-5, np.float32(1e-5), divisor)
    depth = np.clip(depth, NEAREST, 400)
    place = (slope * depth - np.float32(x0)) * np.float32(tx) + (
        depth - np.float32(z0)
    ) * np.float32(tz)
    foot = np.float32(camera.horizon) + np.float32(camera.focal * camera.height) / depth
    top = (
        np.float32(camera.horizon)
        + np.float32(camera.focal * (camera.height - house.height)) / depth
    )
    first, last = max(int(top.min()), 0), min(int(foot.max()) + 1, canvas.height)
    if first >= last:
        return
    rows = canvas.rows[first:last, None]
    up = np.float32(camera.height) - (rows - np.float32(camera.horizon)) * depth * np.float32(
        1 / camera.focal
    )
    pixel = depth * np.float32(1 / camera.focal)
    step = np.maximum(np.abs(np.gradient(place)) if len(place) > 1 else pixel, pixel).astype(
        np.float32
    )
    coverage = np.clip(rows - top + np.float32(0.5), 0, 1) * np.clip(
        foot - rows + np.float32(0.5), 0, 1
    )
    coverage *= band(place, 0, length, step)
    color = _facade(view, house, place, up, step, pixel, facing)
    color += view.light.veils(depth) * (column(view.light.haze) - color)
    canvas.blend((slice(first, last), slice(left, right)), coverage, color)


def _facade(
    view: View, house: House, place: Array, up: Array, step: Array, pixel: Array, facing: float
) -> Array:
    """Colors of a wall at places along it and heights."""
    light = view.light
    wall = column(light.lit(house.color, 0.0, facing))
    color = wall + np.zeros((1, *up.shape), np.float32)
    color *= 1 - np.float32(0.18) * repeated(up, house.floor, 0.16, pixel)
    ground_floor = 3.6 if house.shop else 0.6
    across = np.floor(place * np.float32(1 / house.pitch))
    row = np.floor(up * np.float32(1 / house.floor))
    cell = hashed_fraction(across + row * 131, house.salt)
    panes = repeated(place, house.pitch, house.pitch * house.window, step)
    panes = panes * repeated(up, house.floor, house.floor * 0.52, pixel)
    panes *= band(up, ground_floor, house.height - 0.9, pixel)
    glass = column(mixed(scaled(light.ambient, 0.25), light.sky_below, 0.28))
    shine = glass * (np.float32(0.7) + np.float32(0.5) * cell)
    lay(color, shine, panes)
    if light.lamps > 0.2:
        glowing = panes * (cell > np.float32(1 - 0.42 * light.lamps))
        lay(
            color,
            column((0.95, 0.76, 0.42)),
            glowing * np.float32(light.lamps) * (0.45 + 0.5 * cell),
        )
    if house.shop is not None:
        lay(color, column(light.lit(house.shop, 0.0, facing)), band(up, 2.75, 3.35, pixel))
        doors = band(up, 0.4, 2.6, pixel) * repeated(
            place, house.pitch * 1.4, house.pitch * 1.15, step
        )
        bright = mixed(scaled(light.ambient, 0.4), (0.95, 0.85, 0.62), 0.75 * light.lamps)
        lay(color, column(bright), doors * np.float32(0.9))
    eaves = band(up, house.height - 0.45, house.height, pixel)
    lay(color, wall * np.float32(0.72), eaves)
    return color


def draw_skyline(view: View, dice: Dice) -> None:
    """Far houses, trees or hills on the horizon."""
    canvas, camera, light = view.canvas, view.camera, view.light
    tone = light.lit((0.45, 0.47, 0.46), 140)
    x = 0.0
    while x < canvas.width:
        width = dice.uniform(0.02, 0.09) * canvas.width
        height = dice.uniform(0.01, 0.07) * canvas.width
        top, foot = camera.horizon - height, camera.horizon + 2
        shade = scaled(tone, dice.uniform(0.88, 1.04))
        canvas.polygon([(x, top), (x + width, top), (x + width, foot), (x, foot)], shade)
        x += width * dice.uniform(0.7, 1.1)


def shade_edge(plan: StreetPlan, view: View, dice: Dice) -> float | None:
    """How far across the street the shadow of its houses ends, or None without one."""
    light = view.light
    if light.sun[0] < 0.3 or not plan.is_town or not dice.chance(0.6):
        return None
    side = 1 if light.direction[0] > 0 else -1
    return side * plan.wall * dice.uniform(-0.2, 0.9) or 0.1
