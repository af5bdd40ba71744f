"""The [detection] layer of the first YOLO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array, Shape, ShapeError, Stream, TensorDesc, attribute, format_shape
from plugrt.plugins.native import copying

from .._kernels import ffi, lib
from .detection_layer import COORDINATES, DetectionLayer, collect_rows
from .kernels import kernel
from .reference_functions import softmax


class YoloV1(DetectionLayer):
    """A vector [N, side^2 (classes + 5 boxes)] for a grid of side x side cells: the classes of
    every cell, then the scales of its boxes, then the boxes: centre in the cell, width and
    height relative to the picture, or with `square_roots` their roots.

    Nothing is activated; with `softmax` the classes of each cell are. A score is the scale times
    the class, and only it must exceed the threshold; boxes of negative size are none.

    Source: Redmon et al., You Only Look Once (arXiv:1506.02640).
    """

    type = "Darknet.Detection"
    devices = ("cpu", "cuda")

    side = attribute(
        int, 7, "cells in each direction", allowed=lambda n: n > 0, rule="a number above 0"
    )
    boxes = attribute(
        int, 2, "boxes of every cell", allowed=lambda n: n > 0, rule="a number above 0"
    )
    square_roots = attribute(bool, True, "width and height are given as square roots")
    softmax = attribute(bool, False, "the classes of every cell go through softmax")

    @property
    def length(self) -> int:
        """Values of one image."""
        return self.side**2 * (self.classes + self.boxes * (1 + COORDINATES))

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != self.length):
            raise ShapeError(
                f"{self.type}: the input is {format_shape(shape)}, but side={self.side}, "
                f"boxes={self.boxes} and classes={self.classes} need [N, {self.length}]"
            )
        return shape

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        images, length = inputs[0].shape
        cells = self.side**2
        if stream.device == "cuda":
            copying.record(stream, inputs[0], outputs[0])
        else:
            stream.launch(
                kernel("yolo_activate_planes"), inputs[0], outputs[0], images, 1, length, (1,),
                (lib.YOLO_COPY,), 1, 1.0, 0.0,
            )  # fmt: skip
        if self.softmax:
            ends = np.arange(1, cells + 1, dtype=np.int32) * np.int32(self.classes)
            held = stream.store.pack(("Darknet.groups", ends.tobytes()), lambda: ends)
            if stream.device == "cuda":
                from . import anchor_cuda

                anchor_cuda.record_softmax(outputs[0], outputs[0], held, cells, stream)
                return
            stream.launch(
                kernel("yolo_softmax_planes"), outputs[0], outputs[0], held, images, length, 1, 0,
                cells, 1.0,
            )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        values = np.array(inputs[0])
        if self.softmax:
            classes = values[:, : self.side**2 * self.classes]
            cells = classes.reshape(len(values), self.side**2, self.classes)
            classes[...] = softmax(cells, axis=2).reshape(classes.shape)
        return [values]

    def decode(self, values: Array, threshold: float) -> Array:
        values = np.ascontiguousarray(values, np.float32)
        if values.shape != (self.length,):
            raise ShapeError(
                f"{self.type}: one image's output is [{self.length}], not "
                f"{format_shape(values.shape)}"
            )
        given = ffi.from_buffer("float[]", values.data)
        return collect_rows(
            lambda rows, capacity: lib.yolo_decode_grid(
                given, self.side, self.boxes, self.classes, self.square_roots, threshold, rows,
                capacity,
            )
        )  # fmt: skip

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 117), np.float32)
        sizes = {"side": 3, "boxes": 2, "classes": 3}
        return [
            {"inputs": [values], "attributes": sizes},
            {"inputs": [values], "attributes": {**sizes, "softmax": True}},
        ]
