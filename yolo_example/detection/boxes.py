"""Detections: decoded boxes in a picture's coordinates, without those found twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plugrt.plugins import Array

from .._kernels import ffi, lib
from .pictures import Placement

CENTRE_X, CENTRE_Y, WIDTH, HEIGHT, SCORE, CLASS = range(6)


@dataclass(frozen=True)
class Detection:
    """One object. `box` is left, top, right, bottom in pixels of the picture."""

    class_index: int
    name: str
    score: float
    box: tuple[float, float, float, float]


def place_in_picture(boxes: Array, placement: Placement) -> Array:
    """Rows of (centre x, centre y, width, height, ...) relative to the network's input, made
    relative to the picture that lies there. Float32 [count, 6], a copy."""
    placed = np.array(boxes, np.float32)
    placed[:, CENTRE_X] = (placed[:, CENTRE_X] - placement.left) / placement.width
    placed[:, CENTRE_Y] = (placed[:, CENTRE_Y] - placement.top) / placement.height
    placed[:, WIDTH] /= placement.width
    placed[:, HEIGHT] /= placement.height
    return placed


def suppress_overlaps(boxes: Array, threshold: float) -> Array:
    """The rows of `boxes` that stay when, class by class, from the highest score down, every
    box goes whose intersection over union with a kept one exceeds `threshold`.

    Rows are those of `DetectionLayer.decode`; the result is in descending order of score.
    """
    kept = []
    for label in np.unique(boxes[:, CLASS]):
        rows = boxes[boxes[:, CLASS] == label]
        rows = rows[np.argsort(-rows[:, SCORE], kind="stable")]
        kept.append(rows[_keep(rows, threshold)])
    if not kept:
        return boxes[:0]
    together = np.concatenate(kept)
    return together[np.argsort(-together[:, SCORE], kind="stable")]


def to_detections(boxes: Array, names: Sequence[str], height: int, width: int) -> list[Detection]:
    """Boxes relative to a picture of this size as detections, cut to the picture."""
    found = []
    for row in boxes.astype(float):
        label = int(row[CLASS])
        half_width, half_height = row[WIDTH] / 2, row[HEIGHT] / 2
        box = (
            _within(row[CENTRE_X] - half_width, width),
            _within(row[CENTRE_Y] - half_height, height),
            _within(row[CENTRE_X] + half_width, width),
            _within(row[CENTRE_Y] + half_height, height),
        )
        name = names[label] if label < len(names) else f"class {label}"
        found.append(Detection(label, name, float(row[SCORE]), box))
    return found


def _within(position: float, extent: int) -> float:
    return float(min(max(position, 0.0), 1.0) * extent)


def _keep(rows: Array, threshold: float) -> Array:
    corners = np.ascontiguousarray(rows[:, :SCORE], np.float32)
    keep = np.zeros(len(rows), np.uint8)
    lib.yolo_suppress(
        ffi.from_buffer("float[]", corners.data), len(rows), threshold,
        ffi.from_buffer("uint8_t[]", keep.data),
    )  # fmt: skip
    return keep.astype(bool)
