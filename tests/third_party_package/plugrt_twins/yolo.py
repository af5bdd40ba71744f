"""The last layer of YOLOv3 and its successors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DataType,
    LayerPlugin,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)

from . import kernels, yolo_cuda

FIXED_PLANES = 5
"""Planes of an anchor before those of the classes: x, y, width, height, objectness."""

LAYOUT = "TTqqqffi"
"""struct yolo in yolo.c."""


class Yolo(LayerPlugin):
    """Activated values of [N, anchors * (5 + classes), height, width], float32. Twin of
    Darknet.Yolo.

    Redmon and Farhadi, YOLOv3 (arXiv:1804.02767); `scale_x_y` of YOLOv4 (arXiv:2004.10934),
    `new_coords` of Scaled-YOLOv4 (arXiv:2011.08036).
    """

    type = "Twins.Yolo"
    recordable = True
    devices = ("cpu", "cuda")

    classes = attribute(
        int, 20, "number of classes", allowed=lambda n: n > 0, rule="a number above 0"
    )
    anchors: attribute[tuple[float, ...]] = attribute(
        tuple[float, ...],
        doc="width and height of every anchor, in pixels of the network's input",
        allowed=lambda sizes: len(sizes) % 2 == 0 < len(sizes),
        rule="pairs of numbers",
    )
    mask: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (),
        "which of the anchors this layer uses; none given means all",
        allowed=lambda mask: all(index >= 0 for index in mask),
        rule="indices from 0",
    )
    names = attribute(tuple[str, ...], (), "names of the classes, for people")
    image_size = attribute(
        tuple[int, ...],
        (416, 416),
        "height and width of the network's input",
        allowed=lambda size: len(size) == 2 and min(size) > 0,
        rule="two numbers above 0",
    )
    letter_box = attribute(bool, False, "trained on pictures fitted into a grey frame")
    nms_kind = attribute(str, "default", "how the definition wants overlaps measured")
    beta_nms = attribute(float, 0.6, "power of the distance in diounms")
    scale_x_y = attribute(float, 1.0, "factor that widens the range of the centre")
    new_coords = attribute(
        bool, False, "the layer before has activated all values; sizes are squared"
    )

    @property
    def used_anchors(self) -> tuple[int, ...]:
        """Indices of the anchors in use."""
        return self.mask or tuple(range(len(self.anchors) // 2))

    @property
    def planes(self) -> int:
        """Channels of one anchor."""
        return FIXED_PLANES + self.classes

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        wanted = len(self.used_anchors) * self.planes
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != wanted):
            raise ShapeError(
                f"{self.type}: the input must be N x {wanted} x height x width for "
                f"{len(self.used_anchors)} anchors and {self.classes} classes, not "
                f"{format_shape(shape)}"
            )
        return shape

    def supportsFormat(self, combination: Combination) -> bool:
        if combination.device == "cuda":
            return yolo_cuda.takes(combination.inputs[0], combination.outputs[0])
        tensors = (*combination.inputs, *combination.outputs)
        only_floats = all(desc.dtype is DataType.FLOAT32 for desc in tensors)
        return only_floats and super().supportsFormat(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            return yolo_cuda.tactics(request)
        return () if request.epilogue else (Tactic("native", may_alias=frozenset({0})),)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            yolo_cuda.record(
                inputs[0], outputs[0], self.planes, self.scale_x_y, not self.new_coords, stream
            )
            return
        images, _, height, width = inputs[0].shape
        anchors = images * len(self.used_anchors)
        stream.launch(
            kernels.kernel("twins_yolo", LAYOUT), inputs[0], outputs[0], anchors, self.planes,
            height * width, self.scale_x_y, -0.5 * (self.scale_x_y - 1),
            int(not self.new_coords),
        )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        images, _, height, width = inputs[0].shape
        values = np.array(inputs[0]).reshape(images, -1, self.planes, height, width)
        if not self.new_coords:
            for part in (values[:, :, :2], values[:, :, 4:]):
                with np.errstate(over="ignore"):
                    part[...] = 1 / (1 + np.exp(-part))
        centre = values[:, :, :2]
        centre[...] = centre * np.float32(self.scale_x_y) - np.float32(0.5 * (self.scale_x_y - 1))
        return [values.reshape(inputs[0].shape)]

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 14, 5, 6), np.float32)
        sizes = {"classes": 2, "anchors": (10, 13, 16, 30)}
        return [
            {"inputs": [values], "attributes": sizes},
            {"inputs": [values], "attributes": {**sizes, "scale_x_y": 1.05}},
            {"inputs": [values], "attributes": {**sizes, "new_coords": True}},
            {"inputs": [values[:, :7]], "attributes": {**sizes, "mask": (1,)}},
        ]

    def decode(self, values: Array, threshold: float) -> Array:
        """The boxes in one image's output, float32 [anchors * (5 + classes), height, width].

        Returns float32 [count, 6]: centre, width and height relative to the network's input,
        score and class, for every class whose score exceeds `threshold`, as does the objectness.
        """
        _, height, width = values.shape
        grid = np.asarray(values, np.float32).reshape(-1, self.planes, height, width)
        cells = grid.transpose(2, 3, 0, 1)  # rows, columns, anchors, planes
        rows, columns, anchors = np.nonzero(cells[..., 4] > threshold)
        chosen = cells[rows, columns, anchors]
        sizes = np.asarray(self.anchors, np.float32).reshape(-1, 2)[list(self.used_anchors)]
        relative = sizes[anchors] / np.asarray(self.image_size[::-1], np.float32)
        centres = (np.stack([columns, rows], 1) + chosen[:, :2]) / (width, height)
        stretch = 4 * chosen[:, 2:4] ** 2 if self.new_coords else np.exp(chosen[:, 2:4])
        scores = chosen[:, 4:5] * chosen[:, FIXED_PLANES:]
        box, label = np.nonzero(scores > threshold)
        columns_of = (centres[box], (relative * stretch)[box], scores[box, label], label)
        return np.column_stack(columns_of).astype(np.float32)
