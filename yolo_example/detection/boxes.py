"""Detections: decoded boxes in a picture's coordinates, without those found twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from plugrt.plugins import Array, PlugrtError

from .._kernels import ffi, lib
from ..layers import MOST_BOXES, NMS_KINDS
from ..preparation import Placement

SCORE, CLASS = 4, 5
"""Where a row has these."""

EVERYWHERE = Placement()
"""Of a picture that fills the network's input."""

GREEDY_POWER = 0.6


class Detection(NamedTuple):
    """One object. `box` is left, top, right, bottom in pixels of the picture."""

    class_index: int
    name: str
    score: float
    box: tuple[float, float, float, float]


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


def to_detections(
    boxes: Array,
    names: Sequence[str],
    height: int,
    width: int,
    placement: Placement = EVERYWHERE,
) -> list[Detection]:
    """Rows of `DetectionLayer.decode` as detections in a picture of this size, which lies so in
    the network's input; what is outside the picture is cut off."""
    rows = np.ascontiguousarray(boxes, np.float32)
    corners = np.empty((len(rows), 4))
    place = (placement.left, placement.top, placement.width, placement.height)
    lib.yolo_find_corners(
        ffi.from_buffer("float[]", rows.data), len(rows), ffi.new("yolo_placement *", place),
        width, height, ffi.from_buffer("double[]", corners.data),
    )  # fmt: skip
    labels = rows[:, CLASS].astype(int).tolist()
    known = len(names)
    called = [names[label] if label < known else f"class {label}" for label in labels]
    scores, places = rows[:, SCORE].tolist(), map(tuple, corners.tolist())
    return list(map(Detection._make, zip(labels, called, scores, places, strict=True)))
