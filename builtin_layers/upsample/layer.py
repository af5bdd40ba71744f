"""The layer Upsample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plugins import (
    BLOCK,
    Array,
    DataType,
    Format,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
    format_shape,
)
from ..data_movement import DataMovement
from ..kernels import kernel

ARGUMENTS = "TT2q2q2q3q3q3q3q2q"
COORDINATES = ("half_pixel", "asymmetric", "align_corners")


class Upsample(DataMovement):
    """[N, C, spatial...] with each spatial size times a whole factor; one to three of them.

    `nearest` repeats elements; any type and format, int8 where both sides are quantised alike.
    `linear` interpolates (bilinear for images) in float32, beyond the border with the border.
    `coordinates` says where output position i lies in the input, as in ONNX Resize: half_pixel
    (i + 0.5) / scale - 0.5 (the default of ONNX, PyTorch and TensorFlow 2), asymmetric i / scale
    (ONNX Upsample), align_corners i * (size - 1) / (size * scale - 1). `nearest` ignores it:
    position i takes element i // scale, as Darknet and ONNX Upsample do.
    """

    type = "Upsample"
    formats = tuple(Format)
    scales = attribute(
        tuple[int, ...], (2, 2), "factor per spatial axis",
        allowed=lambda scales: 1 <= len(scales) <= 3 and min(scales) >= 1,
        rule="one to three factors of 1 and above",
    )  # fmt: skip
    mode = attribute(str, "nearest", "interpolation", allowed=("nearest", "linear"))
    coordinates = attribute(
        str, "half_pixel", "where linear samples lie", allowed=COORDINATES
    )  # fmt: skip

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        if len(shape) != len(self.scales) + 2:
            raise ShapeError(
                f"Upsample: scales {self.scales} do not fit {format_shape(shape)}; give one "
                "factor per axis behind N and C"
            )
        spatial = [size * scale for size, scale in zip(shape[2:], self.scales, strict=True)]
        return (*shape[:2], *spatial)

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        if self.mode == "linear" and inputTypes[0] is not DataType.FLOAT32:
            raise ShapeError(
                f"Upsample: linear interpolation of {inputTypes[0].value} is not supported; use "
                "a Cast layer to float32, or mode='nearest'"
            )
        return inputTypes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        array = np.asarray(inputs[0])
        for axis, scale in enumerate(self.scales, start=2):
            if self.mode == "nearest":
                array = np.repeat(array, scale, axis)
            else:
                array = self._interpolate(array, axis, scale)
        return [array]

    def moves(self, source: TensorDesc, output: TensorDesc) -> bool:
        if self.mode == "linear" and source.dtype is not DataType.FLOAT32:
            return False
        return super().moves(source, output) and source.format is output.format

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        if request.device == "cuda":
            from . import upsample_cuda

            return upsample_cuda.tactics(self, request)
        return super().getTactics(request)

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import upsample_cuda

            upsample_cuda.record(self, inputs, outputs[0], stream)
            return
        source, target = inputs[0], outputs[0]
        item = source.dtype.itemsize
        groups, inner = _groups(source.desc)
        if self.mode == "linear":
            extra = (COORDINATES.index(self.coordinates), inner)
        else:
            extra = (item, inner * item)
        missing = 3 - len(self.scales)
        outer, spatial = [], []
        for view in (source, target):
            strides = [stride * item for stride in view.desc.element_strides]
            outer.append(strides[:2])
            spatial.append([0] * missing + strides[2:])
        stream.launch(
            kernel(f"plugrt_upsample_{self.mode}", ARGUMENTS),
            source,
            target,
            (source.shape[0], groups),
            *outer,
            [1] * missing + list(source.shape[2:]),
            [1] * missing + list(self.scales),
            *spatial,
            extra,
        )

    def _interpolate(self, array: Array, axis: int, scale: int) -> Array:
        size = array.shape[axis]
        position = np.arange(size * scale, dtype=np.float32)
        if self.coordinates == "half_pixel":
            position = (position + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)
        elif self.coordinates == "asymmetric":
            position = position / np.float32(scale)
        else:
            position = position * np.float32(size - 1) / np.float32(max(size * scale - 1, 1))
        position = np.clip(position, 0, size - 1)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, size - 1)
        weight = (position - below).astype(np.float32)
        weight = weight.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
        low, high = np.take(array, below, axis), np.take(array, above, axis)
        return np.asarray(low + (high - low) * weight)


def _groups(desc: TensorDesc) -> tuple[int, int]:
    """(groups of channels, channels in one group): elements that lie side by side."""
    channels = desc.sizes[1]
    if desc.format is Format.LINEAR:
        return channels, 1
    if desc.format is Format.CHANNELS_LAST:
        return 1, channels
    return channels // BLOCK, BLOCK
