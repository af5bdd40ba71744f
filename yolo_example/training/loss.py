"""The loss of a YOLO network: which cells answer for which objects, and how wrong they are.

A cell and an anchor answer for an object when the sizes of both differ by less than a factor,
and the cell holds the object's centre or is the nearest neighbour to the side or up or down, as
in YOLOv5. All shapes are fixed: every object is tried against every anchor of every head.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor
from torch.nn import functional

from .network import DarknetNetwork, Head

LARGEST_RATIO = 3.2
BOX_WEIGHT, OBJECT_WEIGHT, CLASS_WEIGHT = 0.1, 1.0, 0.25
HEAD_WEIGHTS = {8: 3.0, 16: 1.0, 32: 0.5}
"""Of the objectness, by stride: finer heads have more cells, of which fewer hold anything."""

LARGEST_LOG_SIZE = 4.0


@dataclass(frozen=True)
class LossTerms:
    """Means over a batch; `total` is their weighted sum."""

    total: Tensor
    boxes: Tensor
    objects: Tensor
    classes: Tensor


def yolo_loss(network: DarknetNetwork, outputs: list[Tensor], targets: Tensor) -> LossTerms:
    """`targets` are [N, objects, 5]: class (-1 for none), centre, width and height in pixels."""
    zero = torch.zeros((), device=targets.device)
    boxes, objects, classes = zero, zero, zero
    for head, values in zip(network.heads, outputs, strict=True):
        box, objectness, label = _head_loss(head, values.float(), targets, network.classes)
        boxes = boxes + box
        objects = objects + objectness * HEAD_WEIGHTS[head.stride]
        classes = classes + label
    total = BOX_WEIGHT * boxes + OBJECT_WEIGHT * objects + CLASS_WEIGHT * classes
    return LossTerms(total, boxes, objects, classes)


def _head_loss(
    head: Head, values: Tensor, targets: Tensor, classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    count, _, height, width = values.shape
    anchors = head.anchors.to(values.device)
    kinds = len(anchors)
    values = values.view(count, kinds, 5 + classes, height, width).permute(0, 1, 3, 4, 2)
    place, weight, wanted, labels = _assign(head, anchors, targets, height, width)
    picture, kind, row, column = place
    found = values[picture, kind, row, column]
    scale = head.scale
    centre = found[:, 0:2].sigmoid() * scale - 0.5 * (scale - 1)
    grid = torch.stack([column, row], 1)
    size = found[:, 2:4].clamp(max=LARGEST_LOG_SIZE).exp() * anchors[kind] / head.stride
    overlap = complete_iou(torch.cat([centre + grid, size], 1), wanted)
    positives = weight.sum().clamp(min=1)
    box = ((1 - overlap) * weight).sum() / positives
    objectness = torch.zeros(values.shape[:-1], device=values.device)
    quality = overlap.detach().clamp(0, 1).mul(weight)
    flat = ((picture * kinds + kind) * height + row) * width + column
    objectness.view(-1).scatter_reduce_(0, flat, quality, "amax")
    object_loss = functional.binary_cross_entropy_with_logits(values[..., 4], objectness)
    hot = functional.one_hot(labels, classes).float()
    label_loss = functional.binary_cross_entropy_with_logits(
        found[:, 5:], hot, reduction="none"
    ).mean(1)
    return box, object_loss, (label_loss * weight).sum() / positives


def _assign(
    head: Head, anchors: Tensor, targets: Tensor, height: int, width: int
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor, Tensor, Tensor]:
    """Every picture, object, anchor and cell in question as flat lists: where, whether, the
    box wanted in cells, the class."""
    count, objects, _ = targets.shape
    kinds = len(anchors)
    boxes = targets[..., 1:] / head.stride
    ratio = targets[..., None, 3:5].clamp(min=1) / anchors
    fits = torch.maximum(ratio, 1 / ratio).amax(-1) < LARGEST_RATIO
    fits &= targets[..., :1] >= 0
    centre = boxes[..., :2]
    part = centre - centre.floor()
    step = torch.where(part < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(step[..., 0])
    shifts = torch.stack([
        torch.stack([zero, zero], -1), torch.stack([step[..., 0], zero], -1),
        torch.stack([zero, step[..., 1]], -1),
    ], 2)  # fmt: skip
    cells = centre[:, :, None].floor() + shifts
    limits = torch.tensor([width, height], device=cells.device)
    inside = ((cells >= 0) & (cells < limits)).all(-1)
    weight = (fits[..., None] & inside[:, :, None]).float()
    shape = (count, objects, kinds, 3)
    cells = cells.clamp(min=torch.zeros_like(limits), max=limits - 1).long()
    cells = cells[:, :, None].expand(*shape, 2).reshape(-1, 2)
    device = targets.device
    picture = torch.arange(count, device=device)[:, None, None, None].expand(shape).reshape(-1)
    kind = torch.arange(kinds, device=device)[:, None].expand(shape).reshape(-1)
    wanted = boxes[:, :, None, None].expand(*shape, 4).reshape(-1, 4)
    labels = targets[..., 0].clamp(min=0).long()[:, :, None, None].expand(shape).reshape(-1)
    return (picture, kind, cells[:, 1], cells[:, 0]), weight.reshape(-1), wanted, labels


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of boxes [count, 4] (centre, size), less penalties for distance
    and proportions. Source: Zheng et al., Distance-IoU Loss (arXiv:1911.08287)."""
    (x1, y1, w1, h1), (x2, y2, w2, h2) = first.unbind(1), second.unbind(1)
    tiny = 1e-7
    left, right = torch.minimum(x1 - w1 / 2, x2 - w2 / 2), torch.maximum(x1 + w1 / 2, x2 + w2 / 2)
    top, bottom = torch.minimum(y1 - h1 / 2, y2 - h2 / 2), torch.maximum(y1 + h1 / 2, y2 + h2 / 2)
    shared_width = (w1 + w2 - (right - left)).clamp(min=0)
    shared_height = (h1 + h2 - (bottom - top)).clamp(min=0)
    shared = shared_width * shared_height
    overlap = shared / (w1 * h1 + w2 * h2 - shared + tiny)
    diagonal = (right - left) ** 2 + (bottom - top) ** 2 + tiny
    distance = ((x1 - x2) ** 2 + (y1 - y2) ** 2) / diagonal
    angle = torch.atan(w2 / (h2 + tiny)) - torch.atan(w1 / (h1 + tiny))
    proportion = 4 / pi**2 * angle**2
    with torch.no_grad():
        share = proportion / (1 - overlap + proportion + tiny)
    result: Tensor = overlap - distance - share * proportion
    return result
