"""Colors of classes, even in lightness and clearly different for neighbouring indices.

They are chosen in OKLCH, where equal numbers look equally light (B. Ottosson, "A perceptual
color space for image processing", 2020).
"""

from __future__ import annotations

from functools import cache
from math import cos, radians, sin

Color = tuple[int, int, int]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)

FIRST_HUE = 145.0
GOLDEN_ANGLE = 137.508
"""Degrees between the hues of neighbouring classes; no multiple comes back soon."""
LIGHTNESS = (0.80, 0.66, 0.73)
CHROMA = 0.23
"""More than can be shown of most hues; each takes as much of it as it can."""


@cache
def class_color(index: int) -> Color:
    """The color of a class."""
    lightness = LIGHTNESS[index % len(LIGHTNESS)]
    hue = radians((FIRST_HUE + index * GOLDEN_ANGLE) % 360)
    chroma = CHROMA
    while max(light := _linear_light(lightness, chroma, hue)) > 1 or min(light) < 0:
        chroma -= 0.005
    red, green, blue = (round(255 * _encoded(value)) for value in light)
    return red, green, blue


def text_color(background: Color) -> Color:
    """Black or white, whichever is read more easily on a color."""
    return BLACK if contrast(background, BLACK) >= contrast(background, WHITE) else WHITE


def contrast(one: Color, other: Color) -> float:
    """The ratio of luminances that the W3C's accessibility guidelines define, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _linear_light(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Red, green and blue of sRGB before its gamma; outside 0 to 1 where it has no such color."""
    a, b = chroma * cos(hue), chroma * sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encoded(light: float) -> float:
    """The gamma of sRGB (IEC 61966-2-1)."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def _luminance(color: Color) -> float:
    red, green, blue = (
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (c / 255 for c in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
