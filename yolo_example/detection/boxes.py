"""Detections: decoded boxes in a picture's coordinates, without those found twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plugrt.plugins import Array, PlugrtError

from .._kernels import ffi, lib
from ..layers import MOST_BOXES, NMS_KINDS
from ..preparation import Placement

CENTRE_X, CENTRE_Y, WIDTH, HEIGHT, SCORE, CLASS = range(6)

GREEDY_POWER = 0.6


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


def suppress_overlaps(
    boxes: Array, threshold: float, kind: str = "default", beta: float = 0.6
) -> Array:
    """The rows of `boxes` that stay when, class by class, from the highest score down, every
    box goes that overlaps a kept one by more than `threshold`.

    Rows are those of `DetectionLayer.decode`; the result is in descending order of score.
    Overlap is intersection over union. For the kinds of Darknet's fork it is that less the
    squared distance of the centres, relative to the diagonal of the box round both, to the
    power of 0.6 (`greedynms`) or `beta` (`diounms`); `cornersnms` is `default`. Of more than
    MOST_BOXES rows those with the highest scores count. Raises PlugrtError for any other kind.
    """
    if kind not in NMS_KINDS:
        raise PlugrtError(f"{kind!r} is no kind of suppression; use {', '.join(NMS_KINDS)}")
    power = {"greedynms": GREEDY_POWER, "diounms": beta}.get(kind, 0.0)
    if len(boxes) > MOST_BOXES:
        boxes = boxes[np.argpartition(-boxes[:, SCORE], MOST_BOXES)[:MOST_BOXES]]
    rows = np.ascontiguousarray(boxes, np.float32)
    kept = np.empty_like(rows)
    count = lib.yolo_suppress(
        ffi.from_buffer("float[]", rows.data), len(rows), threshold, power,
        ffi.from_buffer("float[]", kept.data),
    )  # fmt: skip
    if count < 0:
        raise MemoryError(f"{len(rows)} boxes are too many to compare")
    return kept[:count]


def to_detections(boxes: Array, names: Sequence[str], height: int, width: int) -> list[Detection]:
    """Boxes relative to a picture of this size as detections, cut to the picture."""
    rows = boxes.astype(float)
    half = rows[:, WIDTH:SCORE] / 2
    centres = rows[:, CENTRE_X:WIDTH]
    corners = np.concatenate([centres - half, centres + half], axis=1).clip(0, 1)
    corners *= (width, height, width, height)
    known = len(names)
    return [
        Detection(label, names[label] if label < known else f"class {label}", score, tuple(box))
        for label, score, box in zip(
            boxes[:, CLASS].astype(int).tolist(), rows[:, SCORE].tolist(), corners.tolist(),
            strict=True,
        )
    ]  # fmt: skip
