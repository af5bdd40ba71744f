"""People on foot, and dogs."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Color, Point, mixed, scaled
from .randomness import Dice
from .view import Figure

SKINS: tuple[Color, ...] = (
    (0.92, 0.74, 0.62),
    (0.78, 0.58, 0.44),
    (0.55, 0.38, 0.27),
    (0.36, 0.24, 0.18),
)
HAIRS: tuple[Color, ...] = (
    (0.10, 0.08, 0.07),
    (0.30, 0.19, 0.10),
    (0.62, 0.46, 0.22),
    (0.55, 0.55, 0.55),
)
CLOTHES: tuple[Color, ...] = (
    (0.16, 0.18, 0.26), (0.70, 0.16, 0.16), (0.20, 0.38, 0.66), (0.82, 0.80, 0.74),
    (0.18, 0.42, 0.28), (0.80, 0.62, 0.16), (0.45, 0.25, 0.42), (0.12, 0.12, 0.13),
    (0.55, 0.55, 0.57), (0.85, 0.45, 0.2),
)  # fmt: skip
TROUSERS: tuple[Color, ...] = (
    (0.13, 0.16, 0.25), (0.10, 0.10, 0.11), (0.42, 0.36, 0.28), (0.28, 0.32, 0.42),
    (0.35, 0.34, 0.33),
)  # fmt: skip
FURS: tuple[Color, ...] = (
    (0.12, 0.10, 0.09), (0.42, 0.27, 0.15), (0.74, 0.58, 0.36), (0.85, 0.83, 0.79),
    (0.40, 0.39, 0.38),
)  # fmt: skip
SHOE: Color = (0.08, 0.07, 0.07)


def person_height(dice: Dice) -> float:
    """Metres, children included."""
    return dice.uniform(1.05, 1.4) if dice.chance(0.15) else dice.uniform(1.56, 1.92)


def draw_person(figure: Figure, dice: Dice, height: float, is_wet: bool) -> None:
    """Somebody on foot: walking, standing, with a bag, a skirt, a hat or an umbrella."""
    unit = height / 1.75
    is_side = dice.chance(0.6)
    stride = dice.uniform(0.12, 0.34) if is_side else dice.uniform(0.05, 0.12)
    phase = dice.uniform(-1, 1)
    top, below = dice.pick(CLOTHES), dice.pick(TROUSERS)
    skin, hair = dice.pick(SKINS), dice.pick(HAIRS)
    has_dress, has_hat, has_bag = dice.chance(0.22), dice.chance(0.2), dice.chance(0.3)
    hat, bag = dice.pick(CLOTHES), dice.pick(CLOTHES)
    half = (0.17 if is_side else 0.23) * dice.uniform(0.92, 1.25)
    figure.shadow(0.42 * unit, 0.28 * unit)

    def at(x: float, y: float) -> Point:
        return x * unit, y * unit

    legs = scaled(skin, 0.95) if has_dress else below
    for side in (-1, 1):
        foot = side * stride * phase if is_side else side * 0.10
        lift = max(0.0, side * phase) * 0.06
        hip = side * (0.04 if is_side else 0.10)
        knee = (hip + foot) / 2 + (0.05 * abs(phase) if is_side else 0)
        shade = legs if side > 0 else scaled(legs, 0.8)
        figure.line(at(hip, 0.86), at(knee, 0.48), 0.085 * unit, shade)
        figure.line(at(knee, 0.48), at(foot, 0.09 + lift), 0.065 * unit, shade)
        toe = 0.12 if is_side else 0.02 * side
        figure.line(at(foot, 0.05 + lift), at(foot + toe, 0.04 + lift), 0.05 * unit, SHOE)
    swing = -0.22 * phase if is_side else 0.06
    back_arm, front_arm = scaled(top, 0.72), scaled(top, 0.88)
    if is_side:
        figure.line(at(0, 1.36), at(-swing, 0.88), 0.055 * unit, back_arm)
    figure.polygon(
        [at(-half, 1.42), at(-half * 0.82, 0.84), at(half * 0.82, 0.84), at(half, 1.42)], top
    )
    figure.line(at(-half * 0.7, 1.40), at(half * 0.7, 1.40), 0.075 * unit, top)
    if has_dress:
        flare = half + 0.14
        figure.polygon(
            [at(-half * 0.8, 0.95), at(half * 0.8, 0.95), at(flare, 0.5), at(-flare, 0.5)], top
        )
    if has_bag and is_side:
        figure.polygon(
            [
                at(-half - 0.16, 1.0),
                at(-half + 0.04, 1.0),
                at(-half + 0.04, 1.42),
                at(-half - 0.16, 1.38),
            ],
            bag,
        )
    elif has_bag:
        figure.polygon(
            [at(half, 0.62), at(half + 0.26, 0.62), at(half + 0.24, 0.88), at(half + 0.02, 0.88)],
            bag,
        )
    if is_side:
        figure.line(at(0, 1.36), at(swing, 0.9), 0.055 * unit, front_arm)
        figure.ellipse(at(swing, 0.85), 0.05 * unit, 0.06 * unit, skin)
    else:
        for side in (-1, 1):
            figure.line(
                at(side * half, 1.36), at(side * (half + swing), 0.9), 0.055 * unit, front_arm
            )
            figure.ellipse(at(side * (half + swing), 0.84), 0.05 * unit, 0.06 * unit, skin)
    figure.line(at(0, 1.42), at(0, 1.52), 0.055 * unit, skin)
    draw_head(figure, at(0.01, 1.615), unit, skin, hat if has_hat else hair, has_hat)
    if is_wet and dice.chance(0.55):
        _umbrella(figure, at, unit, dice.pick(CLOTHES))


def draw_head(
    figure: Figure, centre: Point, unit: float, skin: Color, hair: Color, has_hat: bool
) -> None:
    """A face under hair or a hat."""
    x, y = centre
    figure.ellipse((x - 0.01 * unit, y + 0.025 * unit), 0.118 * unit, 0.135 * unit, hair)
    figure.ellipse((x + 0.02 * unit, y - 0.025 * unit), 0.092 * unit, 0.105 * unit, skin)
    if has_hat:
        figure.line(
            (x - 0.12 * unit, y + 0.06 * unit),
            (x + 0.14 * unit, y + 0.06 * unit),
            0.03 * unit,
            hair,
        )


def _umbrella(
    figure: Figure, at: Callable[[float, float], Point], unit: float, color: Color
) -> None:
    figure.line(at(0.16, 1.1), at(0.16, 2.05), 0.014 * unit, (0.2, 0.2, 0.2))
    rim = [(-0.62, 1.78), (-0.42, 1.98), (0.0, 2.10), (0.32, 2.10), (0.74, 1.98), (0.94, 1.78)]
    figure.polygon([at(*corner) for corner in rim], color)
    figure.polygon(
        [at(-0.1, 1.78), at(0.0, 2.1), at(0.32, 2.1), at(0.42, 1.78)], scaled(color, 0.82)
    )


def draw_dog(figure: Figure, dice: Dice, size: float) -> None:
    """A dog of this height at the shoulder, walking or sitting."""
    fur = dice.pick(FURS)
    dark, belly = (
        scaled(fur, 0.75),
        mixed(fur, (0.9, 0.88, 0.84), 0.35 if dice.chance(0.4) else 0.0),
    )
    unit, length = size / 0.55, dice.uniform(0.9, 1.25)
    step = dice.uniform(-0.12, 0.12)
    bulk = dice.uniform(0.85, 1.15)
    figure.shadow(0.45 * unit, 0.2 * unit)

    def at(x: float, y: float) -> Point:
        return x * unit * length, y * unit

    for x, move, shade in (
        (-0.30, step, dark),
        (0.27, -step, dark),
        (-0.34, -step, fur),
        (0.31, step, fur),
    ):
        figure.line(at(x, 0.36), at(x + move, 0.04), 0.042 * unit, shade)
    figure.line(at(-0.30, 0.45), at(0.26, 0.47), 0.125 * unit * bulk, fur)
    figure.line(at(-0.1, 0.40), at(0.2, 0.41), 0.09 * unit * bulk, belly)
    figure.line(at(0.28, 0.52), at(0.42, 0.68), 0.085 * unit, fur)
    lift = dice.uniform(0.5, 0.85)
    figure.line(at(-0.36, 0.52), at(-0.58, lift), 0.034 * unit, fur)
    figure.ellipse(at(0.46, 0.71), 0.115 * unit, 0.10 * unit, fur)
    figure.line(at(0.50, 0.68), at(0.62, 0.65), 0.052 * unit, belly)
    figure.ellipse(at(0.66, 0.665), 0.024 * unit, 0.024 * unit, (0.05, 0.05, 0.05))
    if dice.chance(0.5):
        figure.line(at(0.42, 0.76), at(0.38, 0.62), 0.04 * unit, dark)
    else:
        figure.polygon([at(0.38, 0.77), at(0.47, 0.79), at(0.41, 0.92)], dark)
    figure.line(at(0.36, 0.57), at(0.40, 0.62), 0.05 * unit, dice.pick(CLOTHES))
