"""Boxes out of heads' values, and their suppression, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugrt.plugins import Array

from .anchor_layer import AnchorLayer
from .detection_layer import BOX_VALUES, COORDINATES

FOUR = np.float32(4)


def find_boxes(
    layers: Sequence[AnchorLayer], inputs: Sequence[Array], *, threshold: float, overlap: float,
    power: float, capacity: int, limit: int,
) -> list[Array]:  # fmt: skip
    """What the layer Darknet.Boxes says of its outputs."""
    images = len(inputs[0])
    boxes = np.zeros((images, limit, BOX_VALUES), np.float32)
    counts = np.zeros(images, np.int64)
    activated = [layer.reference([v])[0] for layer, v in zip(layers, inputs, strict=True)]
    for image in range(images):
        found = [
            candidates(layer, values[image], threshold)
            for layer, values in zip(layers, activated, strict=True)
        ]
        rows = np.concatenate(found)
        rows = rows[np.lexsort((rows[:, 5], -rows[:, 4]))][:capacity]  # stable: then by box
        rows = suppressed(rows, np.float32(overlap), power)[:limit]
        boxes[image, : len(rows)] = rows
        counts[image] = len(rows)
    return [boxes, counts]


def candidates(layer: AnchorLayer, values: Array, threshold: float) -> Array:
    """The rows of one image's activated values, by cell, anchor and class."""
    planes = layer.planes
    _, height, width = values.shape
    by_cell = values.reshape(-1, planes.count, height, width).transpose(2, 3, 0, 1)
    by_cell = by_cell.astype(np.float32)
    sizes = np.asarray(layer.relative_sizes(height, width), np.float32)
    x, y, w, h = (by_cell[..., k] for k in range(COORDINATES))
    with np.errstate(over="ignore", invalid="ignore"):
        w, h = (FOUR * v * v if layer.squared_sizes else np.exp(v) for v in (w, h))
        box = [
            (x + np.arange(width, dtype=np.float32)[:, None]) / np.float32(width),
            (y + np.arange(height, dtype=np.float32)[:, None, None]) / np.float32(height),
            w * sizes[:, 0],
            h * sizes[:, 1],
        ]
        objectness = by_cell[..., planes.objectness] if planes.objectness >= 0 else np.ones_like(x)
        scores = objectness[..., None] * by_cell[..., planes.first_class :]
    likely = (objectness > np.float32(threshold)) & np.isfinite(box).all(axis=0)
    *cells, labels = np.nonzero(likely[..., None] & (scores > np.float32(threshold)))
    columns = [part[tuple(cells)] for part in box]
    return np.stack([*columns, scores[(*cells, labels)], labels.astype(np.float32)], axis=1)


def suppressed(rows: Array, overlap: np.float32, power: float) -> Array:
    """The rows, given by falling score, that no kept one of their class covers."""
    kept: list[Array] = []
    for row in rows:
        if not any(k[5] == row[5] and _covers(k, row, overlap, power) for k in kept):
            kept.append(row)
    return np.array(kept, np.float32).reshape(-1, BOX_VALUES)


def _covers(a: Array, b: Array, overlap: np.float32, power: float) -> bool:
    low_a, low_b = (row[:2] - row[2:4] / 2 for row in (a, b))
    high_a, high_b = (row[:2] + row[2:4] / 2 for row in (a, b))
    sides = np.minimum(high_a, high_b) - np.maximum(low_a, low_b)
    if not (sides > 0).all():
        return False
    both = sides[0] * sides[1]
    shared = both / (a[2] * a[3] + b[2] * b[3] - both)
    if not shared > overlap or not power:
        return bool(shared > overlap)
    diagonal = np.square(np.maximum(high_a, high_b) - np.minimum(low_a, low_b)).sum()
    penalty = (np.square(a[:2] - b[:2]).sum() / diagonal) ** power if diagonal > 0 else 0
    return bool(shared - penalty > overlap)
