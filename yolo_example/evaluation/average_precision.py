"""Average precision as COCO defines it, by pycocotools."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..detection.reading import batched
from .requirements import missing_package

LARGEST_AREA = 1e10
"""COCO's "all"."""
DETECTIONS_PER_PICTURE = 100
"""Of a class, the surest; COCO's own number."""


@dataclass(frozen=True)
class PlacedBox:
    """A labelled or found object: left, top, right, bottom in pixels; a label has score 1."""

    class_index: int
    box: tuple[float, float, float, float]
    score: float = 1.0


@dataclass(frozen=True)
class Matches:
    """How the detections of one class fared against its labels, the surest detection first.

    `is_match` is [thresholds, detections]; `picture` the index of each detection's picture;
    `labels` the number of labelled objects in each picture.
    """

    is_match: Array
    picture: Array
    labels: Array


@dataclass(frozen=True)
class Precision:
    """`average` is [thresholds, classes], -1 for a class that no label shows; `thresholds` are
    of the intersection over union, 0.5 to 0.95; `matches` belong to the classes in order."""

    average: Array
    thresholds: Array
    recall_steps: Array
    matches: tuple[Matches, ...]


def average_precision(
    labels: Sequence[Sequence[PlacedBox]],
    detections: Sequence[Sequence[PlacedBox]],
    classes: Sequence[int],
) -> Precision:
    """Compare, picture by picture, what is there with what was found.

    Raises PluginError where pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise missing_package("pycocotools", "mAP cannot be computed") from None
    with redirect_stdout(io.StringIO()):  # it reports its progress
        truth, found = COCO(), COCO()
        for coco, boxes in ((truth, labels), (found, detections)):
            coco.dataset = _as_coco(boxes, classes)
            coco.createIndex()
        run = COCOeval(truth, found, "bbox")
        run.params.areaRng, run.params.areaRngLbl = [[0, LARGEST_AREA]], ["all"]
        run.params.maxDets = [DETECTIONS_PER_PICTURE]
        run.params.catIds = list(classes)
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][..., 0, 0]  # thresholds, recalls, classes
    rows = batched(run.evalImgs, len(labels))  # a class after the other
    matches = tuple(_matches(row, len(run.params.iouThrs)) for row in rows)
    return Precision(precision.mean(axis=1), run.params.iouThrs, run.params.recThrs, matches)


def mean_precision(average: Array) -> float:
    """The mean over all thresholds given and the classes with labels; NaN without any."""
    present = average[average > -1]
    return float(present.mean()) if present.size else float("nan")


def _as_coco(pictures: Sequence[Sequence[PlacedBox]], classes: Sequence[int]) -> Any:
    annotations: list[dict[str, Any]] = []
    for number, boxes in enumerate(pictures):
        for found in boxes:
            left, top, right, bottom = found.box
            width, height = right - left, bottom - top
            annotations.append({
                "id": len(annotations) + 1,  # 0 would mean "no match"
                "image_id": number,
                "category_id": found.class_index,
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": 0,
                "score": found.score,
            })  # fmt: skip
    return {
        "images": [{"id": number} for number in range(len(pictures))],
        "categories": [{"id": index} for index in classes],
        "annotations": annotations,
    }


def _matches(results: Sequence[Mapping[str, Any] | None], thresholds: int) -> Matches:
    """COCOeval's findings for one class, a dictionary per picture that has any of it."""
    labels = np.array([len(r["gtIds"]) if r else 0 for r in results])
    scores = [np.asarray(r["dtScores"], float) if r else np.zeros(0) for r in results]
    picture = np.repeat(np.arange(len(results)), [len(s) for s in scores])
    is_match = np.concatenate(
        [r["dtMatches"] > 0 if r else np.zeros((thresholds, 0), bool) for r in results], axis=1
    )
    order = np.argsort(-np.concatenate(scores), kind="stable")  # COCOeval's order of ties
    return Matches(is_match[:, order], picture[order], labels)
