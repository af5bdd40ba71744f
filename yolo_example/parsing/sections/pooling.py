"""[maxpool] and [avgpool]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer
from .convolutional import LARGEST_KERNEL


class MaxPool(DarknetLayer):
    """`padding` is the sum of both sides, by default size - 1; the smaller half comes first."""

    names = ("maxpool", "max")
    ignored = frozenset({"maxpool_zero_nonmax", "stopbackward"})
    unsupported = {"antialiasing": 0, "maxpool_depth": 0}

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        stride = options.integer("stride", 1, minimum=1)
        self.strides = (
            options.integer("stride_y", stride, minimum=1),
            options.integer("stride_x", stride, minimum=1),
        )
        self.size = options.integer("size", stride, minimum=1, maximum=LARGEST_KERNEL)
        self.padding = options.integer("padding", self.size - 1, maximum=LARGEST_KERNEL)
        options.text("out_channels")  # matters to maxpool_depth only
        if min(self.source.area) + self.padding < self.size:
            raise options.error(
                "size",
                f"size={self.size} is larger than the padded input ({self.source}, "
                f"padding {self.padding}); use a smaller one",
            )
        if (self.padding + 1) // 2 >= self.size:
            raise options.error(
                "padding",
                f"padding={self.padding} leaves windows of size={self.size} empty; "
                f"use at most {2 * self.size - 2}",
            )
        height, width = (
            (extent + self.padding - self.size) // stride + 1
            for extent, stride in zip(self.source.area, self.strides, strict=True)
        )
        self.output = FeatureShape(self.source.channels, height, width)

    def power(self, inputs: Sequence[float]) -> float:
        return 1.2 * inputs[0] if self.size > 1 else inputs[0]

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        begin = self.padding // 2
        ends = (
            (out - 1) * stride + self.size - extent - begin
            for out, stride, extent in zip(
                self.output.area, self.strides, self.source.area, strict=True
            )
        )
        # A stride may leave the last rows unread: then there is nothing to pad behind them.
        padding = (begin, begin, *(max(end, 0) for end in ends))
        return writer.layer(
            "MaxPooling",
            [self.spatial(writer, inputs[0])],
            kernel=(self.size, self.size),
            strides=self.strides,
            padding=padding,
        )


class AveragePool(DarknetLayer):
    """The mean of every channel."""

    names = ("avgpool", "avg")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.output = FeatureShape(self.source.channels)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer("GlobalAveragePooling", [self.spatial(writer, inputs[0])])
