"""Decoding, suppression and placing of boxes."""

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt import ShapeError
from plugrt.plugins import Array
from yolo_example.detection import Placement, place_in_picture, suppress_overlaps, to_detections
from yolo_example.layers import DetectionLayer, Region, Yolo

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
    with pytest.raises(ShapeError, match="13 channels"):
        LAYERS[0].decode(np.zeros((13, 2, 2), np.float32), 0.1)


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two rows."""
    low = [max(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2) for k in (0, 1)]
    high = [min(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2) for k in (0, 1)]
    shared = max(high[0] - low[0], 0) * max(high[1] - low[1], 0)
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared)) if shared else 0.0


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
    kept: list[Array] = []
    for index in np.argsort(-boxes[:, 4], kind="stable"):
        row = boxes[index]
        if all(k[5] != row[5] or overlap(k, row) <= threshold + 1e-6 for k in kept):
            kept.append(row)
    assert {tuple(r) for r in result} == {tuple(r) for r in kept}


def test_boxes_come_back_from_a_letter_box() -> None:
    # A picture of 200 x 100 in a square of 64: it fills the width, 16 rows are above it.
    placement = Placement(left=0, top=0.25, width=1, height=0.5)
    boxes = np.asarray([[0.5, 0.5, 0.2, 0.1, 0.9, 1]], np.float32)
    (row,) = place_in_picture(boxes, placement)
    np.testing.assert_allclose(row, [0.5, 0.5, 0.2, 0.2, 0.9, 1], rtol=1e-6)
    (found,) = to_detections(place_in_picture(boxes, placement), ["cat", "dog"], 100, 200)
    assert (found.name, found.class_index) == ("dog", 1)
    np.testing.assert_allclose(found.box, (80, 40, 120, 60), rtol=1e-5)


def test_detections_stay_within_the_picture() -> None:
    boxes = np.asarray([[0.1, 0.9, 0.5, 0.5, 0.5, 7]], np.float32)
    (found,) = to_detections(boxes, ["cat"], 10, 20)
    assert found.name == "class 7"
    np.testing.assert_allclose(found.box, (0, 6.5, 7, 10), rtol=1e-5)
