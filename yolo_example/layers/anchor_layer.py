"""Layers that predict boxes from anchors at every cell of a grid: region, yolo, Gaussian_yolo."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
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
from .detection_layer import DetectionLayer, collect_rows
from .kernels import kernel
from .native_cells import NativeCells, NativeTree
from .reference_functions import logistic, softmax

COPY: int = lib.YOLO_COPY
LOGISTIC: int = lib.YOLO_LOGISTIC
SCALE: int = lib.YOLO_SCALE

Run = tuple[int, int]
"""Planes that end before a number, and what happens to them: a sum of LOGISTIC and SCALE."""


@dataclass(frozen=True)
class Planes:
    """What the planes of one anchor hold, and how they are activated.

    x, y, width and height are planes 0, `step`, 2 `step` and 3 `step`, each with its
    uncertainty behind it when `uncertain`. `objectness` is -1 where there is none. Planes from
    `softmax` on, -1 for none, go through softmax in groups that end, counted from there,
    before `groups`; those before it in `runs`.
    """

    count: int
    objectness: int
    first_class: int
    runs: tuple[Run, ...]
    softmax: int = -1
    groups: tuple[int, ...] = ()
    step: int = 1
    uncertain: bool = False


class AnchorLayer(DetectionLayer):
    """[N, anchors * planes, height, width]; see the layer's `planes` for their meaning."""

    anchors: attribute[tuple[float, ...]] = attribute(
        tuple[float, ...],
        doc="width and height of every anchor",
        allowed=lambda sizes: len(sizes) % 2 == 0 < len(sizes),
        rule="pairs of numbers",
    )

    devices = ("cpu", "cuda")

    scale_x_y = 1.0
    """Factor that widens the range of the centre."""

    squared_sizes = False
    """Whether sizes are (2 v)^2 times the anchor's instead of exp(v) times."""

    corner = 0.0
    """Where the point (x, y) is: the box's centre lies this part of its size behind it."""

    @property
    @abstractmethod
    def anchor_count(self) -> int:
        """Number of anchors at every cell."""

    @property
    @abstractmethod
    def planes(self) -> Planes:
        """The planes of one anchor."""

    @abstractmethod
    def relative_sizes(self, height: int, width: int) -> Array:
        """Width and height of every anchor relative to the picture, float32 [anchors, 2], for
        a grid of this size."""

    def check_attributes(self) -> None:
        """Raise ShapeError when attributes contradict each other."""

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        self.check_attributes()
        shape = inputs[0].shape
        wanted = self.anchor_count * self.planes.count
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != wanted):
            raise ShapeError(
                f"{self.type}: the input is {format_shape(shape)}, but {self.anchor_count} "
                f"anchors and {self.classes} classes need [N, {wanted}, height, width]"
            )
        return shape

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (output,) = combination.inputs, combination.outputs
        if combination.device == "cuda":
            from . import anchor_cuda

            return anchor_cuda.takes(source, output)
        return super().supportsFormat(combination)

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import anchor_cuda

            return anchor_cuda.tactics(self, request)
        return super().getTactics(request)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import anchor_cuda

            anchor_cuda.record(self, inputs[0], outputs[0], stream)
            return
        images, _, height, width = inputs[0].shape
        planes = self.planes
        blocks = images * self.anchor_count
        ends, rules = zip(*planes.runs, strict=True)
        stream.launch(
            kernel("yolo_activate_planes"), inputs[0], outputs[0], blocks, planes.count,
            height * width, ends, rules, len(ends), self.scale_x_y, -0.5 * (self.scale_x_y - 1),
        )  # fmt: skip
        if planes.softmax >= 0:
            groups = np.asarray(planes.groups, np.int32)
            held = stream.store.pack(("Darknet.groups", groups.tobytes()), lambda: groups)
            stream.launch(
                kernel("yolo_softmax_planes"), inputs[0], outputs[0], held, blocks, planes.count,
                height * width, planes.softmax, len(groups), 1.0,
            )  # fmt: skip

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        images, channels, height, width = inputs[0].shape
        planes = self.planes
        values = np.array(inputs[0]).reshape(images, -1, planes.count, height, width)
        begin = 0
        for end, rule in planes.runs:
            part = values[:, :, begin:end]
            if rule & LOGISTIC:
                part[...] = logistic(part)
            if rule & SCALE:
                part *= np.float32(self.scale_x_y)
                part -= np.float32(0.5 * (self.scale_x_y - 1))
            begin = end
        if planes.softmax >= 0:
            parts = np.split(values[:, :, planes.softmax :], planes.groups[:-1], axis=2)
            for part in parts:
                part[...] = softmax(part, axis=2)
        return [values.reshape(images, channels, height, width)]

    def decode(self, values: Array, threshold: float) -> Array:
        values = np.ascontiguousarray(values, np.float32)
        cells = self._cells.get(values.shape) or self._describe(values.shape)
        given = ffi.from_buffer("float[]", values.data)
        return collect_rows(
            lambda rows, capacity: lib.yolo_decode_cells(
                cells.pointer, given, threshold, cells.scratch(), rows, capacity
            )
        )

    @cached_property
    def _cells(self) -> dict[tuple[int, ...], NativeCells]:
        """By shape of the values. Kept: pictures come one by one, and after the network has run
        the caches hold little of the interpreter, so that every line it needs is slow."""
        return {}

    def _describe(self, shape: tuple[int, ...]) -> NativeCells:
        """The cells of values of this shape, kept for the next call."""
        self.check_attributes()
        planes = self.planes
        wanted = self.anchor_count * planes.count
        if len(shape) != 3 or shape[0] != wanted:
            raise ShapeError(
                f"{self.type}: one image's output is [{wanted}, height, width], not "
                f"{format_shape(shape)}"
            )
        _, height, width = shape
        cells = self._cells[shape] = NativeCells(
            self.relative_sizes(height, width),
            self.native_tree(),
            planes=planes.count,
            height=height,
            width=width,
            step=planes.step,
            uncertain=planes.uncertain,
            squared=self.squared_sizes,
            corner=self.corner,
            objectness=planes.objectness,
            first_class=planes.first_class,
            classes=planes.count - planes.first_class,
        )
        return cells

    def native_tree(self) -> NativeTree | None:
        """The tree that chooses classes, where there is one."""
        return None
