"""Detections drawn into a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, sqrt

import numpy as np
from PIL import Image

from .boxes import Detection
from .label_layout import Label, place_labels
from .painting import Box, Canvas
from .palette import BLACK, Color, class_color, text_color

LEAST_LINE = 2
LINE_SHARE = 1 / 260
"""Of the picture's extent, the side of the square of its area."""
SMALL_BOX = 14
"""A box's shorter side in widths of its line below which the line becomes finer."""
ROUNDING = 2.0
"""Radius of a frame's corners in widths of its line."""
SMALLEST_LABELLED = 64
"""A picture's shorter side, in pixels."""
SHADOW = 0.35
"""Opacity of the dark rim that sets frames and labels off from what lies below."""


def draw_detections(picture: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of the picture in RGB with a frame and a label for every detection, the surest on
    top. Sizes follow the picture's; a class has its color (`class_color`). Thumbnails have frames
    alone: labels would hide them."""
    width, height = picture.size
    canvas = Canvas(np.array(picture.convert("RGB")))
    line = max(LEAST_LINE, round(sqrt(width * height) * LINE_SHARE))
    boxes = [_framed(detection, width, height, line) for detection in detections]
    for detection, box in reversed(list(zip(detections, boxes, strict=True))):
        _draw_frame(canvas, box, _line_of(box, line), class_color(detection.class_index))
    if min(width, height) < SMALLEST_LABELLED:
        return Image.fromarray(canvas.pixels)
    labels = place_labels([label_text(d) for d in detections], boxes, line, width, height)
    for detection, label in reversed(list(zip(detections, labels, strict=True))):
        _draw_label(canvas, label, _rim(line), class_color(detection.class_index))
    return Image.fromarray(canvas.pixels)


def label_text(detection: Detection) -> str:
    """What the label of a detection says."""
    return f"{detection.name} {detection.score:.0%}"


def _framed(detection: Detection, width: int, height: int, line: int) -> Box:
    """The box with room for its line within the picture, and at least as large as the line.

    The line's edges fall between pixels, so that it is sharp.
    """
    left, top, right, bottom = detection.box
    left, right = _apart(left, right, width, line)
    top, bottom = _apart(top, bottom, height, line)
    return left, top, right, bottom


def _apart(low: float, high: float, extent: int, line: int) -> tuple[float, float]:
    """Both ends half a line within the picture, and two lines apart where it has the room."""
    half = line / 2
    least, most = half, max(extent - half, half)
    missing = max(2 * line - (high - low), 0) / 2
    low, high = (
        min(max(floor(place - half + 0.5) + half, least), most)
        for place in (low - missing, high + missing)
    )
    return low, high


def _line_of(box: Box, line: int) -> int:
    """The width of a box's line: small boxes have finer ones, to leave the object visible."""
    side = min(box[2] - box[0], box[3] - box[1])
    # As even or odd as the full line, for the edges between pixels.
    finer = max(LEAST_LINE, round(side / SMALL_BOX))
    return min(line, finer + (line - finer) % 2)


def _draw_frame(canvas: Canvas, box: Box, line: int, color: Color) -> None:
    radius = ROUNDING * line
    canvas.stroke(box, radius, line + 2 * _rim(line), BLACK, SHADOW)
    canvas.stroke(box, radius, line, color)


def _draw_label(canvas: Canvas, label: Label, rim: int, color: Color) -> None:
    left, top, right, bottom = label.box
    radius = (bottom - top) / 5
    outside = (left - rim, top - rim, right + rim, bottom + rim)
    canvas.fill(outside, radius + rim, BLACK, SHADOW)
    canvas.fill(label.box, radius, color)
    canvas.write(label.text, label.font, label.origin, text_color(color))


def _rim(line: int) -> int:
    """The width of the shadow round lines of this width and their labels."""
    return max(1, round(line / 4))
