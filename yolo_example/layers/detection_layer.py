"""What the last layers of detectors have in common.

Their input and output hold, for every anchor, 5 + classes planes: the centre in the cell,
width and height, objectness, and one value per class. The output is Darknet's: activated
values in the same places. Boxes are made of them afterwards, by `decode`.
"""

from __future__ import annotations

from abc import abstractmethod
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

from .._kernels import ffi, lib
from .kernels import kernel

COORDINATES = 4
BOX_VALUES = 6

IN_PLACE = Tactic("native", may_alias=frozenset({0}))


class DetectionLayer(LayerPlugin):
    """One input [N, anchors * (5 + classes), height, width], and an output like it, float32."""

    type = "Darknet.Detection"
    recordable = True

    classes = attribute(
        int, 20, "number of classes", allowed=lambda n: n > 0, rule="a number above 0"
    )
    anchors: attribute[tuple[float, ...]] = attribute(
        tuple[float, ...],
        doc="width and height of every anchor",
        allowed=lambda sizes: len(sizes) % 2 == 0 < len(sizes),
        rule="pairs of numbers",
    )
    names: attribute[tuple[str, ...]] = attribute(
        tuple[str, ...], (), "names of the classes, for people"
    )
    letter_box = attribute(bool, False, "trained on pictures fitted into a grey frame")

    @property
    @abstractmethod
    def anchor_count(self) -> int:
        """Number of anchors at every cell."""

    @property
    @abstractmethod
    def activations(self) -> tuple[bool, bool, float]:
        """Whether to use the logistic function, softmax for the classes, and the factor that
        widens the range of the centre."""

    @abstractmethod
    def relative_sizes(self, height: int, width: int) -> Array:
        """Width and height of every anchor relative to the picture, float32 [anchors, 2], for
        a grid of this size."""

    squared_sizes = False
    """Whether sizes are (2 v)^2 times the anchor's instead of exp(v) times."""

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        wanted = self.anchor_count * (COORDINATES + 1 + self.classes)
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != wanted):
            raise ShapeError(
                f"{self.type}: the input is {format_shape(shape)}, but {self.anchor_count} "
                f"anchors and {self.classes} classes need [N, {wanted}, height, width]"
            )
        return shape

    def supportsFormat(self, combination: Combination) -> bool:
        tensors = (*combination.inputs, *combination.outputs)
        return super().supportsFormat(combination) and all(
            t.dtype is DataType.FLOAT32 for t in tensors
        )

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (IN_PLACE,)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        images, _, height, width = inputs[0].shape
        logistic, softmax, scale = self.activations
        stream.launch(
            kernel("yolo_activate_detections"),
            inputs[0],
            outputs[0],
            images * self.anchor_count,
            self.classes,
            height * width,
            scale,
            -0.5 * (scale - 1),
            int(logistic),
            int(softmax),
        )

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        images, channels, height, width = inputs[0].shape
        planes = COORDINATES + 1 + self.classes
        values = np.array(inputs[0]).reshape(images, -1, planes, height, width)
        centre, rest, classes = values[:, :, :2], values[:, :, 4:5], values[:, :, 5:]
        logistic, softmax, scale = self.activations
        if logistic:
            centre[...], rest[...] = _logistic(centre), _logistic(rest)
        if softmax:
            powers = np.exp(classes - classes.max(axis=2, keepdims=True))
            classes[...] = powers / powers.sum(axis=2, keepdims=True)
        elif logistic:
            classes[...] = _logistic(classes)
        centre[...] = centre * np.float32(scale) - np.float32(0.5 * (scale - 1))
        return [values.reshape(images, channels, height, width)]

    def decode(self, values: Array, threshold: float) -> Array:
        """The boxes in one image's output, float32 [anchors * (5 + classes), height, width].

        Returns float32 [count, 6]: centre, width and height relative to the network's input,
        score (objectness times that of the class) and class, for every class whose score
        exceeds `threshold`, as does the objectness.
        """
        values = np.ascontiguousarray(values, np.float32)
        channels, height, width = values.shape
        if channels != self.anchor_count * (COORDINATES + 1 + self.classes):
            raise ShapeError(f"{self.type}: {channels} channels are not what {self!r} writes")
        sizes = np.ascontiguousarray(self.relative_sizes(height, width), np.float32)
        boxes = np.empty((256, BOX_VALUES), np.float32)
        while True:
            count = lib.yolo_decode(
                ffi.from_buffer("float[]", values.data), self.anchor_count, self.classes, height,
                width, ffi.from_buffer("float[]", sizes.data), self.squared_sizes, threshold,
                ffi.from_buffer("float[]", boxes.data), len(boxes),
            )  # fmt: skip
            if count <= len(boxes):
                return boxes[:count]
            boxes = np.empty((count, BOX_VALUES), np.float32)


def _logistic(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))
