"""Detections drawn into a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from .boxes import Detection

GOLDEN_RATIO = 0.618034
DARK = (0, 0, 0)
LIGHT = (255, 255, 255)

Color = tuple[int, int, int]


def draw_detections(picture: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of the picture with a frame and a label for every detection, the surest on top."""
    drawn = picture.convert("RGB")
    canvas = ImageDraw.Draw(drawn)
    extent = max(drawn.size)
    line = max(2, extent // 300)
    font = ImageFont.load_default(size=max(12, extent // 45))
    for detection in reversed(detections):
        color = class_color(detection.class_index)
        left, top, right, bottom = detection.box
        canvas.rectangle((left, top, max(left, right), max(top, bottom)), None, color, line)
        _draw_label(canvas, detection, color, font, drawn.size)
    return drawn


def class_color(index: int) -> Color:
    """A bright color for a class; neighbouring indices differ clearly."""
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_RATIO % 1.0, 0.85, 0.95)
    return (round(red * 255), round(green * 255), round(blue * 255))


def _draw_label(
    canvas: ImageDraw.ImageDraw,
    detection: Detection,
    color: Color,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    size: tuple[int, int],
) -> None:
    text = f"{detection.name} {detection.score:.0%}"
    box = canvas.textbbox((0, 0), text, font=font)
    width, height = box[2] + 6, box[3] + 4
    x = min(max(detection.box[0], 0), max(size[0] - width, 0))
    above = detection.box[1] - height
    y = above if above >= 0 else detection.box[1]
    canvas.rectangle((x, y, x + width, y + height), color)
    red, green, blue = color
    is_bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    canvas.text((x + 3, y + 1), text, DARK if is_bright else LIGHT, font)
