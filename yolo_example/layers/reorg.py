"""The [reorg] layer of YOLOv2, and the corrected form of the fork."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plugrt.plugins import (
    Array,
    Combination,
    DimLike,
    Format,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    attribute,
    format_shape,
)

from .kernels import kernel

ELEMENT_SIZES = (1, 2, 4, 8)


class Reorg(LayerPlugin):
    """Moves pixels to channels: [N, C, H, W] to [N, C s^2, H / s, W / s], or back.

    `order` "blocks" sends pixel (h s + b, w s + d) of channel c to (h, w) of channel
    (b s + d) C + c. "darknet" is what the first Darknet does instead: the same on the input
    seen as [C / s^2, H s, W s], its result seen as the output. YOLOv2's weights are trained
    for it. With `reverse` both orders are the inverse of "blocks".

    Source: the reorg layer of Darknet, published with arXiv:1612.08242.
    """

    type = "Darknet.Reorg"
    recordable = True
    devices = ("cpu", "cuda")

    stride = attribute(
        int, 2, "pixels per block and direction", allowed=lambda s: s > 0, rule="1 or more"
    )
    reverse = attribute(bool, False, "move channels to pixels")
    order = attribute(str, "darknet", "the order of channels", allowed=("darknet", "blocks"))

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        s = self.stride
        if len(shape) != 4:
            raise ShapeError(f"{self.type}: the input {format_shape(shape)} is not [N, C, H, W]")
        images, channels, height, width = shape
        split: list[DimLike] = [] if self.reverse else [height, width]
        if (self.reverse or self.order == "darknet") and _indivisible(channels, s * s):
            raise ShapeError(
                f"{self.type}: stride {s} needs channels divisible by {s * s}, not {channels}"
            )
        if any(_indivisible(extent, s) for extent in split):
            raise ShapeError(
                f"{self.type}: stride {s} does not divide height and width of {format_shape(shape)}"
            )
        if self.reverse:
            return (images, channels // (s * s), height * s, width * s)
        return (images, channels * (s * s), height // s, width // s)

    def supportsFormat(self, combination: Combination) -> bool:
        (source,), (result,) = combination.inputs, combination.outputs
        return (
            source.format is result.format is Format.LINEAR
            and source.dtype is result.dtype
            and source.quantization == result.quantization
            and source.dtype.itemsize in ELEMENT_SIZES
        )

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        if stream.device == "cuda":
            from . import reorg_cuda

            reorg_cuda.record(self, inputs[0], outputs[0], stream)
            return
        walked = outputs[0] if self._walks_output else inputs[0]
        stream.launch(
            kernel("yolo_reorg"),
            inputs[0],
            outputs[0],
            *walked.shape,
            self.stride,
            inputs[0].dtype.itemsize,
            int(not self.reverse),
        )

    @property
    def _walks_output(self) -> bool:
        return self.order == "blocks" and not self.reverse

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        x: Array = inputs[0]
        s = self.stride
        images, channels, height, width = x.shape
        result = (images, channels * s * s, height // s, width // s)
        if self.reverse:
            narrow = channels // (s * s)
            blocks = x.reshape(images, s, s, narrow, height, width).transpose(0, 3, 4, 1, 5, 2)
            return [blocks.reshape(images, narrow, height * s, width * s)]
        _, wide, rows, columns = x.shape if self.order == "darknet" else result
        blocks = x.reshape(images, wide // (s * s), rows, s, columns, s)
        return [blocks.transpose(0, 3, 5, 1, 2, 4).reshape(result)]

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 8, 4, 6), np.float32)
        return [
            {"inputs": [values], "attributes": {"order": "darknet"}},
            {"inputs": [values[:, :3]], "attributes": {"order": "blocks"}},
            {"inputs": [values], "attributes": {"reverse": True}},
            {"inputs": [values], "attributes": {"stride": 1}},
        ]


def _indivisible(extent: DimLike, divisor: int) -> bool:
    return isinstance(extent, int) and extent % divisor != 0
