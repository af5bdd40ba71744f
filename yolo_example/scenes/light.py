"""Hours and weathers: what light falls, what the air takes away, which lamps burn."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Color, mixed
from .randomness import Array, Dice

Direction = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """`sun` comes from `direction` (across, along, up); `visibility` is the distance in metres
    at which half of a thing's color has become `haze`; `lamps` from 0 to 1 is how much lamps
    stand out; `rain` and `clouds` likewise."""

    sky_above: Color
    sky_below: Color
    ambient: Color
    sun: Color
    direction: Direction
    haze: Color
    visibility: float
    lamps: float = 0.0
    rain: float = 0.0
    clouds: float = 0.3
    grain: float = 0.01

    def lit(self, color: Color, depth: float, facing: float = 0.35) -> Color:
        """A surface's color as seen from `depth` away; `facing` is the share of the sun it
        takes."""
        r, g, b = (
            c * (a + s * facing) for c, a, s in zip(color, self.ambient, self.sun, strict=True)
        )
        return mixed((r, g, b), self.haze, self.veil(depth))

    def veil(self, depth: float) -> float:
        """How much of the haze lies over a thing at this depth."""
        return 1 - 1 / (1 + depth / self.visibility)

    def veils(self, depths: Array) -> Array:
        """`veil` of many."""
        veiled: Array = 1 - 1 / (1 + depths * (1 / self.visibility))
        return veiled

    def shining(self, color: Color, depth: float) -> Color:
        """A lamp's own color from `depth` away."""
        return mixed(color, self.haze, 0.6 * self.veil(depth))


def draw_light(dice: Dice) -> Light:
    """An hour and a weather."""
    make = dice.weighted([
        (_day, 0.4), (_overcast, 0.16), (_dusk, 0.14), (_night, 0.14), (_rain, 0.08), (_fog, 0.08),
    ])  # fmt: skip
    return make(dice)


def _direction(dice: Dice, height: float) -> Direction:
    across, along = dice.uniform(-1, 1), dice.uniform(-1, 0.7)
    length = (across * across + along * along + height * height) ** 0.5
    return across / length, along / length, height / length


def _day(dice: Dice) -> Light:
    warm = dice.uniform(0, 0.12)
    return Light(
        (0.25, 0.48 + warm / 2, 0.82), (0.72 + warm, 0.83, 0.93), (0.52, 0.54, 0.60),
        (0.52 + warm, 0.49 + warm / 2, 0.41), _direction(dice, dice.uniform(0.6, 1.4)),
        (0.74 + warm / 2, 0.82, 0.90), dice.uniform(180, 500), clouds=dice.uniform(0, 0.6),
        grain=dice.uniform(0.003, 0.015),
    )  # fmt: skip


def _overcast(dice: Dice) -> Light:
    grey = dice.uniform(0.62, 0.82)
    return Light(
        (grey * 0.86, grey * 0.9, grey * 0.96), (grey, grey, grey), (0.74, 0.76, 0.80),
        (0.12, 0.12, 0.11), _direction(dice, 2), (grey, grey, grey * 1.02),
        dice.uniform(90, 250), clouds=1.0, grain=dice.uniform(0.006, 0.025),
    )  # fmt: skip


def _dusk(dice: Dice) -> Light:
    red = dice.uniform(0.5, 1)
    return Light(
        (0.22, 0.24, 0.46), (0.95, 0.62 - 0.15 * red, 0.40), (0.40, 0.34, 0.42),
        (0.62, 0.34, 0.16), _direction(dice, 0.35), (0.66, 0.46, 0.42), dice.uniform(90, 260),
        lamps=0.55, clouds=dice.uniform(0.2, 0.9), grain=dice.uniform(0.01, 0.03),
    )  # fmt: skip


def _night(dice: Dice) -> Light:
    glimmer = dice.uniform(0.85, 1.25)
    return Light(
        (0.02, 0.03, 0.09), (0.09, 0.09, 0.17),
        (0.33 * glimmer, 0.32 * glimmer, 0.40 * glimmer), (0.10, 0.08, 0.04),
        _direction(dice, 2), (0.08, 0.08, 0.14), dice.uniform(80, 250), lamps=1.0,
        rain=0.6 if dice.chance(0.2) else 0.0, clouds=0.4, grain=dice.uniform(0.010, 0.028),
    )  # fmt: skip


def _rain(dice: Dice) -> Light:
    grey = dice.uniform(0.42, 0.62)
    return Light(
        (grey * 0.8, grey * 0.85, grey * 0.92), (grey, grey * 1.02, grey * 1.05),
        (0.54, 0.57, 0.62), (0.06, 0.06, 0.06), _direction(dice, 2), (grey, grey, grey * 1.06),
        dice.uniform(50, 130), lamps=0.4, rain=1.0, clouds=1.0, grain=dice.uniform(0.01, 0.03),
    )  # fmt: skip


def _fog(dice: Dice) -> Light:
    grey = dice.uniform(0.66, 0.84)
    return Light(
        (grey, grey, grey), (grey, grey, grey), (0.70, 0.71, 0.73), (0.05, 0.05, 0.05),
        _direction(dice, 2), (grey, grey, grey * 1.01), dice.uniform(16, 45), lamps=0.35,
        clouds=0.0, grain=dice.uniform(0.006, 0.02),
    )  # fmt: skip
