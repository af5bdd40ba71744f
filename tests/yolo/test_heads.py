"""The further last layers of detectors, by their definitions: uncertain boxes, trees of classes,
backgrounds, longer descriptions of boxes, and the vector of the first YOLO."""

from collections.abc import Iterator, Sequence
from math import exp

import numpy as np
import pytest

from plugrt import DataType, LayerAttributeError, ShapeError
from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import Array, TensorDesc
from yolo_example.layers import (
    MOST_BOXES,
    AnchorLayer,
    GaussianYolo,
    Region,
    TreeSoftmax,
    Yolo,
    YoloV1,
)

ROWS, COLUMNS = 3, 5

# 0 and 1 are roots; 2, 3, 4 kinds of 1; 5 and 6 of 0; 7 of 6.
PARENTS = (-1, -1, 1, 1, 1, 0, 0, 6)
FAMILIES = ((0, 1), (2, 3, 4), (5, 6), (7,))


def random_values(*shape: int, seed: int = 0, spread: float = 2) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(np.float32)


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x.astype(np.float64))
    return powers / powers.sum(axis=axis, keepdims=True)


def cells(anchors: int) -> Iterator[tuple[int, int, int]]:
    for row in range(ROWS):
        for column in range(COLUMNS):
            for anchor in range(anchors):
                yield anchor, row, column


def activated(layer: AnchorLayer, anchors: int, planes: int) -> tuple[Array, Array]:
    """What goes in and comes out, [anchors, planes, rows, columns]."""
    values = random_values(2, anchors * planes, ROWS, COLUMNS)
    result = run_layer(layer.clone(), [values])[0]
    shape = (2, anchors, planes, ROWS, COLUMNS)
    return values.reshape(shape)[1], result.reshape(shape)[1]


def assert_rows(found: Array, expected: Sequence[Sequence[float]]) -> None:
    assert len(expected) > 5
    np.testing.assert_allclose(found, np.asarray(expected), rtol=3e-6, atol=1e-7)


def test_gaussian_yolo_activates_all_but_the_sizes() -> None:
    layer = GaussianYolo(classes=3, anchors=(1, 2, 3, 4), scale_x_y=1.2)
    given, planes = activated(layer, 2, 12)
    expected = logistic(given)
    expected[:, [0, 2]] = expected[:, [0, 2]] * 1.2 - 0.1
    expected[:, [4, 6]] = given[:, [4, 6]]
    np.testing.assert_allclose(planes, expected, atol=3e-7)


@pytest.mark.parametrize(("point", "part"), [("center", 0), ("left_top", 1), ("right_bottom", -1)])
def test_gaussian_yolo_lowers_uncertain_scores(point: str, part: int) -> None:
    layer = GaussianYolo(
        classes=2, anchors=(9, 9, 10, 20, 30, 15), mask=(2, 1), image_size=(32, 64),
        yolo_point=point,
    )  # fmt: skip
    values = np.random.default_rng(1).random((22, ROWS, COLUMNS), np.float32)
    expected = []
    for anchor, row, column in cells(2):
        v = values.reshape(2, 11, ROWS, COLUMNS)[anchor, :, row, column].astype(float)
        width, height = [(30 / 64, 15 / 32), (10 / 64, 20 / 32)][anchor]
        width, height = exp(v[4]) * width, exp(v[6]) * height
        x = (column + v[0]) / COLUMNS + part * width / 2
        y = (row + v[2]) / ROWS + part * height / 2
        certainty = 1 - (v[1] + v[3] + v[5] + v[7]) / 4
        for label in (0, 1):
            score = v[8] * v[9 + label] * certainty
            if v[8] > 0.1 and score > 0.1:
                expected.append([x, y, width, height, score, label])
    assert_rows(layer.decode(values, 0.1), expected)


def test_region_leaves_what_else_describes_a_box_alone() -> None:
    layer = Region(classes=3, anchors=(1, 2, 3, 4), coords=6)
    given, planes = activated(layer, 2, 10)
    np.testing.assert_array_equal(planes[:, 2:6], given[:, 2:6])
    np.testing.assert_allclose(planes[:, 6], logistic(given[:, 6]), atol=2e-7)
    np.testing.assert_allclose(planes[:, 7:], softmax(given[:, 7:], 1), atol=2e-7)
    found = layer.decode(planes.reshape(20, ROWS, COLUMNS), 0.2)
    plain = Region(classes=3, anchors=(1, 2, 3, 4))
    without = np.delete(planes, [4, 5], axis=1).reshape(16, ROWS, COLUMNS)
    np.testing.assert_array_equal(found, plain.decode(without, 0.2))
    assert len(found) > 3


@pytest.mark.parametrize("by_softmax", [True, False])
def test_region_with_a_background_has_no_objectness(by_softmax: bool) -> None:
    layer = Region(classes=3, anchors=(1, 2), background=True, softmax=by_softmax)
    given, planes = activated(layer, 1, 8)
    if by_softmax:
        np.testing.assert_allclose(planes[:, 4:], softmax(given[:, 4:], 1), atol=2e-7)
    else:
        np.testing.assert_array_equal(planes[:, 4], given[:, 4])
        np.testing.assert_allclose(planes[:, 5:], logistic(given[:, 5:]), atol=2e-7)
    found = layer.decode(planes[0], 0.3)
    assert len(found) == (planes[0, 5:] > 0.3).sum() > 5
    np.testing.assert_allclose(np.sort(found[:, 4]), np.sort(planes[0, 5:][planes[0, 5:] > 0.3]))


def test_region_goes_through_softmax_family_by_family() -> None:
    layer = Region(classes=8, anchors=(1, 2, 3, 4), parents=PARENTS)
    given, planes = activated(layer, 2, 13)
    np.testing.assert_allclose(planes[:, 4], logistic(given[:, 4]), atol=2e-7)
    for family in FAMILIES:
        members = [5 + index for index in family]
        np.testing.assert_allclose(planes[:, members], softmax(given[:, members], 1), atol=3e-7)


def most_specific(conditional: Array, limit: float) -> int:
    """Down the tree by Darknet's rules, step by step."""
    absolute = conditional.astype(np.float32)
    for index, parent in enumerate(PARENTS):
        if parent >= 0:
            absolute[index] *= absolute[parent]
    family, chosen, product = FAMILIES[0], -1, np.float32(1)
    while True:
        best = max(family, key=lambda index: absolute[index])
        if product * absolute[best] <= limit:
            return best if chosen < 0 else chosen
        product *= absolute[best]
        chosen = best
        below = [f for f in FAMILIES if PARENTS[f[0]] == best]
        if not below:
            return chosen
        family = below[0]


@pytest.mark.parametrize("limit", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_the_most_specific_class_that_is_likely_enough_is_found(limit: float) -> None:
    layer = Region(classes=8, anchors=(1, 2, 3, 4), parents=PARENTS, hier_thresh=limit)
    _, planes = activated(layer, 2, 13)
    expected = []
    for anchor, row, column in cells(2):
        x, y, w, h, objectness, *classes = planes[anchor, :, row, column].astype(float)
        width, height = [(1, 2), (3, 4)][anchor]
        if objectness > 0.2:
            label = most_specific(np.asarray(classes), limit)
            size = [exp(w) * width / COLUMNS, exp(h) * height / ROWS]
            place = [(column + x) / COLUMNS, (row + y) / ROWS]
            expected.append([*place, *size, objectness, label])
    found = layer.decode(planes.reshape(26, ROWS, COLUMNS), 0.2)
    assert_rows(found, expected)
    if limit == 0:
        assert not set(found[:, 5]) & set(PARENTS)  # always down to a leaf
    if limit == 1:
        assert set(found[:, 5]) <= {0, 1}


def test_a_map_asks_for_some_classes_of_the_tree() -> None:
    chosen = (7, 1, 4)
    layer = Region(classes=3, anchors=(1, 2, 3, 4), parents=PARENTS, map=chosen)
    _, planes = activated(layer, 2, 13)
    expected = []
    for anchor, row, column in cells(2):
        x, y, w, h, objectness, *classes = planes[anchor, :, row, column].astype(float)
        width, height = [(1, 2), (3, 4)][anchor]
        for label, index in enumerate(chosen):
            score, above = objectness, index
            while above >= 0:
                score *= classes[above]
                above = PARENTS[above]
            if score > 0.05:
                size = [exp(w) * width / COLUMNS, exp(h) * height / ROWS]
                place = [(column + x) / COLUMNS, (row + y) / ROWS]
                expected.append([*place, *size, score, label])
    assert_rows(layer.decode(planes.reshape(26, ROWS, COLUMNS), 0.05), expected)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_softmax_over_a_tree(temperature: float) -> None:
    layer = TreeSoftmax(parents=PARENTS, temperature=temperature)
    values = random_values(3, 8)
    (result,) = run_layer(layer, [values])
    for family in FAMILIES:
        expected = softmax(values[:, family] / temperature, 1)
        np.testing.assert_allclose(result[:, family], expected, atol=2e-7)
    absolute = layer.probabilities(result, leaves_only=False)
    np.testing.assert_allclose(absolute[:, 7], result[:, 0] * result[:, 6] * result[:, 7])
    leaves = layer.probabilities(result)
    assert not leaves[:, [0, 1, 6]].any()
    np.testing.assert_allclose(leaves.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("by_softmax", [True, False])
def test_the_first_yolo_writes_its_vector(by_softmax: bool) -> None:
    layer = YoloV1(side=3, boxes=2, classes=4, softmax=by_softmax)
    values = random_values(2, 9 * 14)
    (result,) = run_layer(layer, [values])
    np.testing.assert_array_equal(result[:, 36:], values[:, 36:])
    classes = values[:, :36].reshape(2, 9, 4)
    expected = softmax(classes, 2) if by_softmax else classes
    np.testing.assert_allclose(result[:, :36].reshape(2, 9, 4), expected, atol=2e-7)


@pytest.mark.parametrize("square_roots", [True, False])
def test_the_first_yolo_reads_boxes_out_of_its_vector(square_roots: bool) -> None:
    layer = YoloV1(side=5, boxes=2, classes=4, square_roots=square_roots)
    values = random_values(25 * 14, seed=4, spread=1)
    expected = []
    for cell in range(25):
        for box in range(2):
            x, y, w, h = values[150 + 8 * cell + 4 * box :][:4].astype(float)
            width, height = (w * w, h * h) if square_roots else (w, h)
            for label in range(4):
                score = float(values[100 + 2 * cell + box]) * float(values[4 * cell + label])
                if score > 0.2 and width >= 0 and height >= 0:
                    place = [(cell % 5 + x) / 5, (cell // 5 + y) / 5]
                    expected.append([*place, width, height, score, label])
    assert_rows(layer.decode(values, 0.2), expected)


def test_a_low_threshold_finds_the_best_of_too_many_boxes() -> None:
    layer = Yolo(classes=400, anchors=(1, 2), image_size=(16, 16))
    values = np.random.default_rng(2).random((405, 16, 16), np.float32)
    scores = (values[4] * values[5:]).ravel()
    assert len(scores) > MOST_BOXES
    found = layer.decode(values, 0.0)
    best = np.sort(np.partition(scores, -MOST_BOXES)[-MOST_BOXES:])
    np.testing.assert_array_equal(np.sort(found[:, 4]), best)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Region(classes=7, anchors=(1, 2), parents=PARENTS), "classes=7, but the tree has 8"),
        (Region(classes=8, anchors=(1, 2), parents=PARENTS, map=(1,)), "but the map has 1"),
        (Region(classes=1, anchors=(1, 2), parents=PARENTS, map=(8,)), "class 8 of a tree of 8"),
        (Region(classes=1, anchors=(1, 2), map=(0,)), "give parents too"),
        (Region(classes=8, anchors=(1, 2), parents=PARENTS, background=True), "exclude each other"),
        (GaussianYolo(classes=4, anchors=(1, 2), mask=(1,)), "names anchor 1, but there are 1"),
    ],
)
def test_contradicting_attributes_are_refused(layer: AnchorLayer, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, (1, 13, 2, 2))])
    with pytest.raises(ShapeError, match=said):
        layer.decode(np.zeros((13, 2, 2), np.float32), 0.5)


@pytest.mark.parametrize(
    "parents",
    [(0,), (-1, 2, 0), (-2,), (-1, -1, 0, 1, 0), (-1, 0, -1)],
    ids=["own parent", "later parent", "no class", "scattered children", "scattered roots"],
)
def test_what_is_no_tree_is_refused(parents: tuple[int, ...]) -> None:
    for layer in (Region, TreeSoftmax):
        attributes = {"anchors": (1, 2)} if layer is Region else {}
        with pytest.raises(LayerAttributeError, match="side by side"):
            layer(parents=parents, **attributes)


def test_inputs_of_another_size_are_refused() -> None:
    grid, tree = YoloV1(side=3, boxes=2, classes=4), TreeSoftmax(parents=PARENTS)
    for layer, shape in ((grid, (1, 125)), (grid, (1, 126, 1)), (tree, (1, 9)), (tree, (8,))):
        with pytest.raises(ShapeError, match="the input is"):
            layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])
    with pytest.raises(ShapeError, match=r"one image's output is \[126\]"):
        grid.decode(np.zeros(125, np.float32), 0.5)
