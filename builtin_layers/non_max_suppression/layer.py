"""The layer NonMaxSuppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ...plugins import (
    Array,
    Combination,
    DataType,
    DimLike,
    Format,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    data_dependent,
    dim_min,
    format_shape,
    product,
)
from ..gpu_tactics import is_for_gpu
from ..kernels import kernel

LANES = 8
"""Classes that are worked on at once, each with scratch for all boxes."""


class NonMaxSuppression(LayerPlugin):
    """Boxes of each class, by falling score, that overlap no better one too much.

    boxes float32 [N, B, 4] and scores float32 [N, C, B] -> selected int64 [K, 3], rows of
    (image, class, box), and count, an int64 scalar that holds K. K is data-dependent, at most
    N * C * min(B, max_output_boxes_per_class).

    ONNX NonMaxSuppression: a box takes part when its score is greater than `score_threshold`,
    and is dropped when its intersection over union with a selected box of its class is greater
    than `iou_threshold`. Rows go by image, then class, then falling score, equal scores by
    rising box. Boxes are (y1, x1, y2, x2), any two opposite corners, or with
    `center_point_box` (x, y, width, height). One difference: 0 boxes per class means no limit.
    """

    type = "NonMaxSuppression"
    input_names = ("boxes", "scores")
    recordable = True
    devices = ("cpu", "cuda")
    max_output_boxes_per_class = attribute(
        int, 0, "most boxes selected per image and class; 0 means all",
        allowed=lambda limit: limit >= 0, rule="0 and above",
    )  # fmt: skip
    iou_threshold = attribute(
        float, 0.5, "greatest overlap that is tolerated",
        allowed=lambda value: 0 <= value <= 1, rule="0 to 1",
    )  # fmt: skip
    score_threshold = attribute(float, 0.0, "scores must be greater than this; -inf takes all")
    center_point_box = attribute(bool, False, "boxes are centres and sizes, not corners")

    def getNbOutputs(self) -> int:
        return 2

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        boxes, scores = (desc.shape for desc in inputs)
        if not _fit(boxes, scores):
            raise ShapeError(
                f"NonMaxSuppression: boxes {format_shape(boxes)} and scores "
                f"{format_shape(scores)} do not fit; give NxBx4 and NxCxB"
            )
        if index == 1:
            return ()
        bound = product((*scores[:2], self.limit(scores[2])))
        return (data_dependent(bound, output=1), 3)

    def limit(self, boxes: DimLike) -> DimLike:
        """The most boxes that a class of `boxes` boxes can give."""
        most = self.max_output_boxes_per_class
        return dim_min(boxes, most) if most else boxes

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        for dtype in inputTypes:
            if dtype is not DataType.FLOAT32:
                raise ShapeError(
                    f"NonMaxSuppression: boxes and scores must be float32, not {dtype.value}; "
                    "use a Cast layer"
                )
        return DataType.INT64

    def supportsFormat(self, combination: Combination) -> bool:
        tensors = (*combination.inputs, *combination.outputs)
        linear = all(d.format is Format.LINEAR and d.quantization is None for d in tensors)
        return linear and all(d.dtype is DataType.FLOAT32 for d in combination.inputs)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        boxes, scores = inputs
        selected = [
            (image, category, box)
            for image in range(scores.shape[0])
            for category in range(scores.shape[1])
            for box in self._select(self._corners(boxes[image]), scores[image, category])
        ]
        rows = np.array(selected, np.int64).reshape(-1, 3)
        return [rows, np.array(len(rows), np.int64)]

    def _corners(self, boxes: Array) -> Array:
        """[B, 4] as the lower corner and the upper one."""
        first, second = boxes[:, :2], boxes[:, 2:]
        if self.center_point_box:
            half = second / np.float32(2)
            first, second = first - half, first + half
        return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)

    def _select(self, corners: Array, scores: Array) -> list[int]:
        candidates = np.flatnonzero(scores > self.score_threshold)
        ranked = candidates[np.argsort(-scores[candidates], kind="stable")]
        selected: list[int] = []
        for box in ranked:
            if len(selected) == self.limit(len(scores)):
                break
            if not any(_overlap(corners[box], corners[k]) > self.iou_threshold for k in selected):
                selected.append(int(box))
        return selected

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda" and not request.epilogue:
            from . import non_max_suppression_cuda

            return (non_max_suppression_cuda.TACTIC,)
        return super().getTactics(request)

    def getWorkspaceSize(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        if is_for_gpu(self.tactic):
            from . import non_max_suppression_cuda

            return non_max_suppression_cuda.workspace_size(inputs)
        images, classes, boxes = inputs[1].sizes
        counts = images * classes * DataType.INT64.itemsize
        return counts + min(LANES, images * classes) * boxes * DataType.INT32.itemsize

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import non_max_suppression_cuda

            non_max_suppression_cuda.record(self, inputs, outputs, workspace, stream)
            return
        boxes, scores = inputs
        images, classes, count = scores.shape
        if workspace is None:  # there are no scores
            workspace = outputs[1]
        stream.launch(
            kernel("plugrt_non_max_suppression", "TTTTTqqqqqffI"),
            boxes,
            scores,
            outputs[0],
            outputs[1],
            workspace,
            images,
            classes,
            count,
            cast(int, self.limit(count)),
            min(LANES, images * classes),
            self.iou_threshold,
            self.score_threshold,
            int(self.center_point_box),
        )


def _fit(boxes: Shape, scores: Shape) -> bool:
    """Whether the shapes are NxBx4 and NxCxB, as far as sizes are known."""
    if len(boxes) != 3 or len(scores) != 3 or boxes[2] != 4:
        return False
    pairs = ((boxes[0], scores[0]), (boxes[1], scores[2]))
    return not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _overlap(a: Array, b: Array) -> Any:
    """Intersection over union of two boxes (low, low, high, high); 0 where one is empty."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    area_a, area_b = (a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()
    if not (sides > 0).all() or not area_a > 0 or not area_b > 0:
        return np.float32(0)
    intersection = sides.prod()
    return intersection / (area_a + area_b - intersection)
