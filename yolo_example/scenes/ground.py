"""Sky and ground: everything that fills the picture before things stand in it."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from .canvas import Color
from .plan import JUNCTION_WIDTH, LAMP_ARM, LAMP_DISTANCE, StreetPlan
from .randomness import Array, Dice, sample_texture
from .surfaces import band, column, lay, repeated
from .view import View

MARKING: Color = (0.86, 0.86, 0.82)


def draw_sky(view: View, dice: Dice) -> None:
    """Two colors, clouds, and in clear nights nothing else."""
    canvas, light, camera = view.canvas, view.light, view.camera
    rows = min(max(int(camera.horizon) + 2, 0), canvas.height)
    shift, lift = dice.integer(0, 255), dice.integer(0, 255)
    if rows == 0:
        return
    share = np.clip(canvas.rows[:rows] / np.float32(max(camera.horizon, 1)), 0, 1)
    share = (share * np.sqrt(share))[None, :, None]
    above, below = column(light.sky_above), column(light.sky_below)
    sky = above + share * (below - above) + np.zeros((1, 1, canvas.width), np.float32)
    if light.clouds > 0.02:
        # Clouds lie on a plane above: they shrink towards the horizon.
        height = (camera.horizon - canvas.rows[:rows]) * np.float32(256 / canvas.width) + 14
        down = (np.float32(2600) / height)[:, None]
        across = (canvas.columns - np.float32(camera.centre)) * np.float32(256 / canvas.width)
        noise = sample_texture(down + lift, across * down * np.float32(0.011) + shift)
        cover = np.clip((noise - np.float32(0.68 - 0.34 * light.clouds)) * 5, 0, 1)
        cover *= np.clip(height * np.float32(1 / 40) - np.float32(0.2), 0, 1)[:, None]
        tone = [0.25 * a + 0.8 * b for a, b in zip(light.ambient, light.sky_below, strict=True)]
        white = column((tone[0], tone[1], tone[2])) * (1 - np.float32(0.25) * (noise - 0.5))
        sky += np.float32(0.85) * cover * (white - sky)
    canvas.pixels[:, :rows] = sky


def draw_ground(view: View, plan: StreetPlan, dice: Dice, shade_from: float | None) -> None:
    """Verge, pavement and road; beyond `shade_from` across, houses keep the sun away."""
    canvas, camera, light = view.canvas, view.camera, view.light
    first = max(int(camera.horizon + 1), 0)
    if first >= canvas.height:
        return
    salt = dice.integer(0, 255)
    depth = np.float32(camera.focal * camera.height) / (
        canvas.rows[first:] - np.float32(camera.horizon)
    )
    depth = np.minimum(depth, 900)[:, None]
    right = depth * ((canvas.columns - np.float32(camera.centre)) * np.float32(1 / camera.focal))
    c, s = np.float32(cos(camera.yaw)), np.float32(sin(camera.yaw))
    across = right * c + depth * s + np.float32(camera.position)
    along = depth * c - right * s
    sideways = depth * np.float32(1 / camera.focal)
    lengthways = depth * depth * np.float32(1 / (camera.focal * camera.height))
    step_across = sideways * abs(c) + lengthways * abs(s) + np.float32(0.01)
    step_along = sideways * abs(s) + lengthways * abs(c) + np.float32(0.01)

    def within(low: float, high: float) -> Array:
        return band(across, low, high, step_across)

    def stretch(low: float, high: float) -> Array:
        return band(along, low, high, step_along)

    noise = sample_texture(along * 9 + salt, across * 9 + salt) - np.float32(0.5)
    broad = sample_texture(along * 1.3 + salt, across * 1.3) - np.float32(0.5)
    noise = noise / (1 + step_along * 6) + broad * np.float32(0.5)
    color = column(plan.verge) * (1 + np.float32(0.7) * noise)
    tiles = repeated(across, 0.9, 0.06, step_across) + repeated(along, 0.9, 0.06, step_along)
    paving = column(plan.paving) * (
        1 + np.float32(0.25) * noise - np.float32(0.12) * np.minimum(tiles, 1)
    )
    lay(color, paving, within(-plan.kerb, plan.kerb))
    lay(color, column((0.70, 0.69, 0.66)), within(-plan.road - 0.18, plan.road + 0.18))
    asphalt = column(plan.asphalt) * (1 + np.float32(0.35) * noise)
    road = within(-plan.road, plan.road)
    open_road = np.ones_like(road)
    if plan.junction is not None:
        crossing = stretch(plan.junction, plan.junction + JUNCTION_WIDTH)
        road = np.maximum(road, crossing)
        open_road = 1 - stretch(plan.junction - 0.5, plan.junction + JUNCTION_WIDTH + 0.5)
    lay(color, asphalt, road)
    if plan.zebra is not None:
        stripes = stretch(plan.zebra, plan.zebra + 3) * within(-plan.road, plan.road)
        open_road = open_road * (1 - stretch(plan.zebra - 1, plan.zebra + 4))
        lay(color, column(MARKING), 0.9 * stripes * repeated(across, 1.0, 0.5, step_across))
    paint = np.zeros_like(road)
    for lane in range(1, plan.lanes):
        place = -plan.driven + lane * plan.lane_width
        line = within(place - 0.07, place + 0.07)
        dashes = repeated(along, 6.0, 3.0, step_along)
        paint = np.maximum(paint, line * (dashes if lane * 2 != plan.lanes else 1))
    for side in (-1, 1):
        place = side * (plan.driven - 0.05)
        paint = np.maximum(paint, within(place - 0.06, place + 0.06))
    lay(color, column(MARKING), np.float32(0.85) * paint * open_road)
    sun = np.float32(0.55 * light.direction[2] + 0.2)
    lightness = column(light.ambient) + column(light.sun) * sun
    if shade_from is not None:
        shaded = within(shade_from, 1e4) if shade_from > 0 else within(-1e4, shade_from)
        lightness = lightness - column(light.sun) * sun * np.float32(0.85) * shaded
    if plan.lamps is not None and light.lamps > 0.5:
        lightness = lightness + _lamp_light(plan, light.lamps, across, along)
    color *= lightness
    if light.rain:
        _wet(view, color, first, noise)
    color += light.veils(depth) * (column(light.haze) - color)
    canvas.pixels[:, first:] = color


def _lamp_light(plan: StreetPlan, strength: float, across: Array, along: Array) -> Array:
    """What street lamps add, [3, rows, columns]."""
    total = np.zeros_like(across)
    for side, start in zip((-1, 1), plan.lamps or (), strict=True):
        place = (along - np.float32(start)) * np.float32(1 / LAMP_DISTANCE)
        x = across - np.float32(side * (plan.lamp_post - LAMP_ARM))
        y = (place - np.floor(place + np.float32(0.5))) * np.float32(LAMP_DISTANCE)
        pool = np.clip(1 - (x * x + y * y) * np.float32(1 / 56), 0, 1)
        total += pool * pool
    return total * column((0.75 * strength, 0.62 * strength, 0.38 * strength))


def _wet(view: View, color: Array, first: int, noise: Array) -> None:
    """Wet ground mirrors the sky, more so in puddles."""
    shine = np.clip(np.float32(0.22) + noise * np.float32(0.9), 0, 0.55) * np.float32(
        view.light.rain
    )
    lay(color, column(view.light.sky_below), shine)
