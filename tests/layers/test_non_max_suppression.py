"""NonMaxSuppression against ONNX Runtime, and its corner cases by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from plugrt.builtin_layers.non_max_suppression import NonMaxSuppression
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import DataType, LayerAttributeError, ShapeError, TensorDesc, symbol
from plugrt.plugins.dims import evaluate


def by_onnx_runtime(
    boxes: Any, scores: Any, limit: int, iou: float, score: float, kind: int
) -> Any:
    constants = [
        helper.make_tensor("limit", TensorProto.INT64, [1], [limit]),
        helper.make_tensor("iou", TensorProto.FLOAT, [1], [iou]),
        helper.make_tensor("score", TensorProto.FLOAT, [1], [score]),
    ]
    names = ["boxes", "scores", "limit", "iou", "score"]
    node = helper.make_node("NonMaxSuppression", names, ["y"], center_point_box=kind)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
        for name, array in (("boxes", boxes), ("scores", scores))
    ]
    output = helper.make_tensor_value_info("y", TensorProto.INT64, [None, 3])
    graph = helper.make_graph([node], "nms", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"boxes": boxes, "scores": scores})[0]


@given(
    seed=st.integers(0, 10_000), images=st.integers(1, 2), classes=st.integers(1, 3),
    count=st.integers(1, 40), limit=st.integers(1, 12), iou=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    score=st.sampled_from([-1.0, 0.0, 0.5]), center=st.booleans(),
)  # fmt: skip
def test_equals_onnx_runtime(
    seed: int, images: int, classes: int, count: int, limit: int, iou: float, score: float,
    center: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(0, 1, (images, count, 4)).astype(np.float32)
    # Eight levels of score make ties common.
    scores = (rng.integers(0, 8, (images, classes, count)) / 8).astype(np.float32)
    layer = NonMaxSuppression(
        max_output_boxes_per_class=limit, iou_threshold=iou, score_threshold=score,
        center_point_box=center,
    )  # fmt: skip
    expected = by_onnx_runtime(boxes, scores, limit, iou, score, int(center))
    for selected, found in (run_layer(layer, [boxes, scores]), layer.reference([boxes, scores])):
        assert selected.dtype == np.int64
        assert found == len(expected)
        np.testing.assert_array_equal(selected, expected)


def select(boxes: Any, scores: Any, **attributes: Any) -> list[int]:
    """Indices of the selected boxes of one image and class; both ways must agree."""
    arrays = [np.array(boxes, np.float32)[None], np.array(scores, np.float32)[None, None]]
    layer = NonMaxSuppression(**attributes)
    selected, count = run_layer(layer, arrays)
    reference, reference_count = layer.reference(arrays)
    np.testing.assert_array_equal(selected, reference)
    assert count == reference_count == len(selected)
    return list(selected[:, 2])


HALVES = [[0, 0, 2, 2], [0, 0, 1, 2], [3, 3, 4, 4]]  # the first two overlap by one half


def test_thresholds_are_exclusive() -> None:
    assert select(HALVES, [0.9, 0.8, 0.7], iou_threshold=0.5) == [0, 1, 2]
    assert select(HALVES, [0.9, 0.8, 0.7], iou_threshold=0.49) == [0, 2]
    assert select(HALVES, [0.9, 0.5, 0.7], iou_threshold=1.0, score_threshold=0.5) == [0, 2]


def test_equal_scores_keep_their_order() -> None:
    apart = [[k, 0, k + 0.5, 1] for k in range(6)]
    assert select(apart, [0.5, 0.7, 0.5, 0.7, 0.5, 0.7]) == [1, 3, 5, 0, 2, 4]


def test_corners_may_be_any_two_opposite_ones() -> None:
    flipped = [[2, 2, 0, 0], [1, 0, 0, 2], [3, 4, 4, 3]]
    assert select(flipped, [0.9, 0.8, 0.7], iou_threshold=0.49) == [0, 2]


def test_limits() -> None:
    apart = [[k, 0, k + 0.5, 1] for k in range(6)]
    scores = np.linspace(0.1, 0.9, 6)
    assert select(apart, scores, max_output_boxes_per_class=2) == [5, 4]
    assert select(apart, scores) == [5, 4, 3, 2, 1, 0]
    assert select(apart, -scores) == []
    assert select(apart, -scores, score_threshold=float("-inf")) == [0, 1, 2, 3, 4, 5]


def test_empty_boxes_and_scores_that_are_no_numbers() -> None:
    degenerate = [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 2, 2]]
    assert select(degenerate, [0.9, 0.8, 0.7], iou_threshold=0.0) == [0, 1, 2]
    assert select(degenerate, [np.nan, 0.8, 0.7]) == [1, 2]


@pytest.mark.parametrize("shape", [(0, 2, 5), (1, 0, 5), (2, 3, 0)])
def test_nothing_to_select(shape: tuple[int, int, int]) -> None:
    images, _, count = shape
    arrays = [np.zeros((images, count, 4), np.float32), np.zeros(shape, np.float32)]
    selected, found = run_layer(NonMaxSuppression(), arrays)
    assert selected.shape == (0, 3)
    assert found == 0


def test_many_classes_by_threads(rng: Any) -> None:
    boxes = rng.uniform(0, 1, (2, 300, 4)).astype(np.float32)
    scores = rng.uniform(-1, 1, (2, 20, 300)).astype(np.float32)
    layer = NonMaxSuppression(iou_threshold=0.2)
    expected, _ = layer.reference([boxes, scores])
    for threads in (1, 2):
        selected, _ = run_layer(layer.clone(), [boxes, scores], threads=threads)
        np.testing.assert_array_equal(selected, expected)


def test_rules() -> None:
    batch = symbol("N")
    boxes = TensorDesc(DataType.FLOAT32, (batch, 100, 4))
    scores = TensorDesc(DataType.FLOAT32, (batch, 80, 100))
    selected, count = output_descs(
        NonMaxSuppression(max_output_boxes_per_class=10), [boxes, scores]
    )
    assert count.shape == ()
    assert evaluate(selected.shape[0], {"N": 2}) == 2 * 80 * 10
    assert selected.shape[1] == 3
    with pytest.raises(ShapeError, match="give NxBx4 and NxCxB"):
        NonMaxSuppression().getOutputDimensions(0, [scores, scores])
    with pytest.raises(ShapeError, match="must be float32, not float64"):
        NonMaxSuppression().getOutputDataType(0, [DataType.FLOAT64, DataType.FLOAT32])
    with pytest.raises(LayerAttributeError, match="0 to 1"):
        NonMaxSuppression(iou_threshold=1.5)
