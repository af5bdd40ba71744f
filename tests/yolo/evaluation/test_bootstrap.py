"""The bootstrap's samples against pycocotools, and its interval."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.yolo.evaluation.support import random_boxes
from yolo_example.evaluation.average_precision import (
    PlacedBox,
    average_precision,
    mean_precision,
)
from yolo_example.evaluation.bootstrap import draw_weights, interval, resampled_means


def test_the_first_sample_is_the_whole() -> None:
    labels, detections = random_boxes(30, seed=1)
    precision = average_precision(labels, detections, [0, 1, 2])
    (means,) = resampled_means(precision, np.ones((1, 30), np.int64))
    expected = [mean_precision(row) for row in precision.average]
    np.testing.assert_allclose(means, expected, atol=1e-12)


def coco_of_resample(
    labels: list[list[PlacedBox]], detections: list[list[PlacedBox]], drawn: list[int]
) -> list[float]:
    """pycocotools' own mean at every threshold for pictures drawn with replacement: its results
    per picture, repeated, and its own accumulation."""
    with redirect_stdout(io.StringIO()):
        both = []
        for pictures in (labels, detections):
            coco = COCO()
            found = [
                {
                    "image_id": number,
                    "category_id": box.class_index,
                    "bbox": [*box.box[:2], box.box[2] - box.box[0], box.box[3] - box.box[1]],
                    "area": 1000.0,
                    "iscrowd": 0,
                    "score": box.score,
                }
                for number, boxes in enumerate(pictures)
                for box in boxes
            ]
            for number, annotation in enumerate(found):
                annotation["id"] = number + 1
            coco.dataset = {
                "images": [{"id": number} for number in range(len(pictures))],
                "categories": [{"id": index} for index in range(3)],
                "annotations": found,
            }
            coco.createIndex()
            both.append(coco)
        run = COCOeval(*both, "bbox")
        run.params.areaRng, run.params.maxDets = [[0, 1e10]], [100]
        run.evaluate()
        pictures = len(labels)
        run.evalImgs = [run.evalImgs[k * pictures + index] for k in range(3) for index in drawn]
        run.params.imgIds = run._paramsEval.imgIds = list(range(len(drawn)))
        run.accumulate()
    precision = run.eval["precision"][..., 0, 0]
    return [row[row > -1].mean() for row in precision]


@pytest.mark.parametrize("seed", range(4))
def test_a_resample_is_what_pycocotools_makes_of_it(seed: int) -> None:
    labels, detections = random_boxes(25, seed)
    precision = average_precision(labels, detections, [0, 1, 2])
    weights = draw_weights(25, 6, seed)
    means = resampled_means(precision, weights)
    for counts, mean in zip(weights, means, strict=True):
        drawn = np.repeat(np.arange(25), counts).tolist()
        np.testing.assert_allclose(mean, coco_of_resample(labels, detections, drawn), atol=1e-9)


def test_weights_are_drawn_with_replacement() -> None:
    weights = draw_weights(40, 500, seed=3)
    assert weights.shape == (500, 40)
    assert set(weights.sum(axis=1)) == {40}
    assert weights.max() > 3
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.25)
    np.testing.assert_array_equal(weights, draw_weights(40, 500, seed=3))


def test_the_interval_is_as_wide_as_the_result_varies() -> None:
    """Over many datasets of the same kind."""
    results, widths = [], []
    for seed in range(60):
        precision = average_precision(*random_boxes(40, seed), [0])
        results.append(mean_precision(precision.average[0]))
        found = interval(resampled_means(precision, draw_weights(40, 200, seed))[:, 0])
        assert found is not None
        assert found.low <= results[-1] <= found.high
        widths.append(found.high - found.low)
    # 95 % of a normal distribution are within 1.96 standard deviations.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(results), rel=0.25)


def test_samples_without_any_label_do_not_count() -> None:
    labels = [[PlacedBox(0, (0, 0, 10, 10))], [], []]
    precision = average_precision(labels, labels, [0])
    means = resampled_means(precision, np.array([[1, 1, 1], [0, 3, 0]]))
    assert means[0, 0] == 1
    assert np.isnan(means[1]).all()
    assert interval(means[1]) is None
