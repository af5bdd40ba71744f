"""Decoding, suppression and placing of boxes."""

from collections.abc import Sequence
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt import PlugrtError, ShapeError
from plugrt.plugins import Array
from yolo_example.detection import Placement, suppress_overlaps, to_detections
from yolo_example.layers import MOST_BOXES, NMS_KINDS, DetectionLayer, Region, Yolo

LAYERS: list[DetectionLayer] = [
    Yolo(classes=2, anchors=(9, 9, 10, 20, 30, 15), mask=(1, 2), image_size=(32, 64)),
    Yolo(classes=2, anchors=(10, 20, 30, 15), image_size=(32, 64), new_coords=True),
    Region(classes=2, anchors=(1.5, 2.5, 3, 1)),
]


def slow_decode(layer: DetectionLayer, values: Array, threshold: float) -> list[list[float]]:
    """Every box by Darknet's formulas."""
    height, width = values.shape[1:]
    planes = values.reshape(2, 7, height, width).astype(float)
    found = []
    for row in range(height):
        for column in range(width):
            for anchor in range(2):
                x, y, w, h, objectness, *classes = planes[anchor, :, row, column]
                if isinstance(layer, Yolo):
                    sizes = [(10 / 64, 20 / 32), (30 / 64, 15 / 32)][anchor]
                else:
                    sizes = [(1.5 / width, 2.5 / height), (3 / width, 1 / height)][anchor]
                if isinstance(layer, Yolo) and layer.new_coords:
                    size = [4 * w * w * sizes[0], 4 * h * h * sizes[1]]
                else:
                    size = [exp(w) * sizes[0], exp(h) * sizes[1]]
                for label, value in enumerate(classes):
                    if objectness > threshold and objectness * value > threshold:
                        place = [(column + x) / width, (row + y) / height]
                        found.append([*place, *size, objectness * value, label])
    return found


def activated(height: int = 3, width: int = 5) -> Array:
    return np.random.default_rng(3).random((14, height, width), np.float32)


@pytest.mark.parametrize("layer", LAYERS, ids=["yolo", "new_coords", "region"])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.99])
def test_decoding_by_darknets_formulas(layer: DetectionLayer, threshold: float) -> None:
    boxes = layer.decode(activated(), threshold)
    expected = np.asarray(slow_decode(layer, activated(), threshold)).reshape(-1, 6)
    np.testing.assert_allclose(boxes, expected, rtol=2e-6)
    assert len(expected) > 20 or threshold > 0


def test_more_boxes_than_expected_are_all_found() -> None:
    boxes = LAYERS[0].decode(np.full((14, 20, 30), 0.5, np.float32), 0.1)
    assert len(boxes) == 2 * 2 * 20 * 30


def test_places_that_are_not_finite_are_no_boxes() -> None:
    values = activated()
    values[2, 0, 0] = 1000
    values[0, 0, 1] = np.nan
    values[4, 0, 2] = np.nan
    boxes = LAYERS[0].decode(values, 0.0)
    assert np.isfinite(boxes).all()
    assert len(boxes) == len(LAYERS[0].decode(activated(), 0.0)) - 3 * 2  # two classes each


def test_values_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="not 13x2x2"):
        LAYERS[0].decode(np.zeros((13, 2, 2), np.float32), 0.1)


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two rows."""
    low = [max(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2) for k in (0, 1)]
    high = [min(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2) for k in (0, 1)]
    shared = max(high[0] - low[0], 0) * max(high[1] - low[1], 0)
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared)) if shared else 0.0


def penalty(a: Sequence[float], b: Sequence[float], power: float) -> float:
    """The power of the squared distance of the centres by the squared diagonal round both."""
    low = [min(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2) for k in (0, 1)]
    high = [max(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2) for k in (0, 1)]
    diagonal = sum((high[k] - low[k]) ** 2 for k in (0, 1))
    return float((sum((a[k] - b[k]) ** 2 for k in (0, 1)) / diagonal) ** power)


def random_rows(count: int, classes: int, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    columns = [*random.random((2, count)), *random.uniform(0.05, 0.5, (2, count))]
    labels = random.integers(0, classes, count)
    return np.stack([*columns, random.random(count), labels], axis=1).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.integers(0, 8).map(lambda n: n / 8)] * 2,
            *[st.integers(1, 6).map(lambda n: n / 8)] * 2,
            st.integers(1, 1000).map(lambda n: n / 1000),
            st.integers(0, 2),
        ),
        max_size=30,
    ),
    threshold=st.sampled_from([0.0, 0.21, 0.43, 0.77, 1.0]),
)
def test_suppression_by_its_definition(rows: list[tuple[float, ...]], threshold: float) -> None:
    boxes = np.asarray(rows, np.float32).reshape(-1, 6)
    result = suppress_overlaps(boxes, threshold)
    assert (np.diff(result[:, 4]) <= 0).all()
    kept: list[list[float]] = []
    for index in np.argsort(-boxes[:, 4], kind="stable"):
        row = boxes[index].tolist()
        if all(k[5] != row[5] or overlap(k, row) <= threshold + 1e-6 for k in kept):
            kept.append(row)
    assert {tuple(r) for r in result.tolist()} == {tuple(r) for r in kept}


@pytest.mark.parametrize("kind", NMS_KINDS)
@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_the_kinds_of_suppression_by_their_definition(kind: str, beta: float) -> None:
    boxes = random_rows(150, 2)
    power = {"greedynms": 0.6, "diounms": beta}.get(kind)
    kept: list[list[float]] = []
    for index in np.argsort(-boxes[:, 4], kind="stable"):
        row = boxes[index].tolist()
        same = [k for k in kept if k[5] == row[5]]
        less = [0.0 if power is None else penalty(k, row, power) for k in same]
        overlaps = [overlap(k, row) - p for k, p in zip(same, less, strict=True)]
        if all(value <= 0.3 for value in overlaps):
            kept.append(row)
    result = suppress_overlaps(boxes, 0.3, kind, beta)
    np.testing.assert_allclose(result, kept, rtol=1e-6)
    assert 30 < len(result) < 140


def test_the_kinds_of_suppression_differ() -> None:
    boxes = random_rows(400, 2)
    counts = [len(suppress_overlaps(boxes, 0.3, kind, 1.0)) for kind in NMS_KINDS]
    assert counts[0] == counts[3] < counts[2] < counts[1]
    with pytest.raises(PlugrtError, match="'soft' is no kind of suppression; use default, gr"):
        suppress_overlaps(boxes, 0.3, "soft")


def test_equal_scores_are_taken_in_order() -> None:
    boxes = np.asarray([[0.5, 0.5, 0.2, size, 0.7, label] for size, label in
                        ((0.2, 3), (0.21, 3), (0.2, 1), (0.3, 1))], np.float32)  # fmt: skip
    result = suppress_overlaps(boxes, 0.45)
    np.testing.assert_array_equal(result, boxes[[2, 0]])
    assert suppress_overlaps(boxes[:0], 0.45).shape == (0, 6)


def test_many_boxes_of_one_place_leave_the_surest() -> None:
    boxes = random_rows(MOST_BOXES + 1000, 1)
    boxes[:, :4] = 0.5
    result = suppress_overlaps(boxes, 0.45)
    np.testing.assert_array_equal(result, boxes[[boxes[:, 4].argmax()]])


def test_too_many_boxes_leave_the_best() -> None:
    boxes = random_rows(MOST_BOXES + 1000, MOST_BOXES)
    boxes[:, 5] = np.arange(len(boxes))
    result = suppress_overlaps(boxes, 0.45)
    best = boxes[np.argsort(-boxes[:, 4])[:MOST_BOXES]]
    np.testing.assert_array_equal(result[:, 4], best[:, 4])


def test_boxes_come_back_from_a_letter_box() -> None:
    # A picture of 200 x 100 in a square of 64: it fills the width, 16 rows are above it.
    placement = Placement(left=0, top=0.25, width=1, height=0.5)
    boxes = np.asarray([[0.5, 0.5, 0.2, 0.1, 0.9, 1]], np.float32)
    (found,) = to_detections(boxes, ["cat", "dog"], 100, 200, placement)
    assert (found.name, found.class_index) == ("dog", 1)
    np.testing.assert_allclose(found.box, (80, 40, 120, 60), rtol=1e-5)


def test_detections_stay_within_the_picture() -> None:
    boxes = np.asarray([[0.1, 0.9, 0.5, 0.5, 0.5, 7]], np.float32)
    (found,) = to_detections(boxes, ["cat"], 10, 20)
    assert found.name == "class 7"
    np.testing.assert_allclose(found.box, (0, 6.5, 7, 10), rtol=1e-5)
