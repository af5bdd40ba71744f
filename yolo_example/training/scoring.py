"""Mean average precision while training. The published numbers come from `plugrt-yolo eval`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .network import DarknetNetwork
from .scene_tensors import Pictures, Targets

THRESHOLDS = np.arange(0.5, 0.96, 0.05)
LEAST_SCORE, OVERLAP, MOST_BOXES = 0.01, 0.45, 100
Rows = npt.NDArray[Any]


def decode(network: DarknetNetwork, outputs: list[Tensor]) -> Tensor:
    """[N, boxes, 4 + classes]: corners in pixels and scores."""
    found = []
    for head, values in zip(network.heads, outputs, strict=True):
        count, _, height, width = values.shape
        device, kinds = values.device, len(head.anchors)
        v = values.float().view(count, kinds, -1, height, width).permute(0, 1, 3, 4, 2)
        rows, columns = torch.meshgrid(
            torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
        )
        grid = torch.stack([columns, rows], -1)
        centre = (v[..., :2].sigmoid() * head.scale - 0.5 * (head.scale - 1) + grid) * head.stride
        half = v[..., 2:4].exp() * head.anchors.to(device)[:, None, None] / 2
        scores = v[..., 4:5].sigmoid() * v[..., 5:].sigmoid()
        boxes = torch.cat([centre - half, centre + half, scores], -1)
        found.append(boxes.reshape(count, -1, boxes.shape[-1]))
    return torch.cat(found, 1)


def mean_average_precision(
    network: DarknetNetwork, pictures: Pictures, targets: Targets, device: str
) -> tuple[float, float, list[float]]:
    """mAP@0.5, mAP@[.5:.95], and AP@0.5 by class."""
    network.module.eval()
    results: list[list[tuple[float, int, Rows]]] = [[] for _ in range(network.classes)]
    wanted = np.zeros(network.classes)
    for start in range(0, len(pictures), 64):
        batch = torch.from_numpy(pictures[start : start + 64]).to(device).float() / 255
        with torch.no_grad():
            boxes = decode(network, network(batch)).cpu().numpy()
        for k, rows in enumerate(boxes):
            truth = targets[start + k]
            for label in range(network.classes):
                true = _corners(truth[truth[:, 0] == label, 1:])
                wanted[label] += len(true)
                _match(rows[:, :4], rows[:, 4 + label], true, results[label])
    curves = [_average_precisions(results[c], wanted[c]) for c in range(network.classes)]
    table = np.array([curve for c, curve in enumerate(curves) if wanted[c]])
    network.module.train()
    return float(table[:, 0].mean()), float(table.mean()), [float(c[0]) for c in curves]


def _match(boxes: Rows, scores: Rows, true: Rows, results: list[tuple[float, int, Rows]]) -> None:
    """Add, for every box kept of one class in one picture, its score and at which thresholds
    it hits an object that no better one has hit."""
    order = np.argsort(-scores)[:400]
    order = order[scores[order] > LEAST_SCORE]
    kept: list[int] = []
    for k in order:
        if not kept or _iou(boxes[k], boxes[kept]).max() <= OVERLAP:
            kept.append(int(k))
    taken = np.zeros((len(THRESHOLDS), len(true)), bool)
    for k in kept[:MOST_BOXES]:
        hits = np.zeros(len(THRESHOLDS), bool)
        if len(true):
            overlaps = _iou(boxes[k], true)
            for t, threshold in enumerate(THRESHOLDS):
                free = np.where(taken[t], -1.0, overlaps)
                best = int(free.argmax())
                if free[best] >= threshold:
                    taken[t, best] = hits[t] = True
        results.append((float(scores[k]), len(results), hits))


def _average_precisions(results: list[tuple[float, int, Rows]], wanted: float) -> Rows:
    """AP at every threshold, from 101 levels of recall."""
    if not results or not wanted:
        return np.zeros(len(THRESHOLDS))
    hits = np.array([hit for _, _, hit in sorted(results, key=lambda r: (-r[0], r[1]))])
    right = np.cumsum(hits, 0)
    recall = right / wanted
    precision = right / np.arange(1, len(hits) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
    levels = np.linspace(0, 1, 101)
    found = []
    for t in range(len(THRESHOLDS)):
        places = np.searchsorted(recall[:, t], levels)
        padded = np.append(precision[:, t], 0)
        found.append(padded[places].mean())
    return np.array(found)


def _corners(boxes: Rows) -> Rows:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def _iou(box: Rows, others: Rows) -> Rows:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1)
    overlaps: Rows = shared / ((box[2:] - box[:2]).prod() + areas - shared + 1e-9)
    return overlaps
