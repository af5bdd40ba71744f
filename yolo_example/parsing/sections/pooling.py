"""[maxpool], [local_avgpool] and [avgpool]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..graph_writer import GraphWriter, suffixes
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .antialiasing import read_blurred_strides, read_strides
from .base import DarknetLayer
from .convolutional import LARGEST_KERNEL

LEAST = -3.4028234663852886e38
"""Takes no part in a maximum: -FLT_MAX."""


class _Windowed(DarknetLayer):
    """`padding` is the sum of both sides, by default size - 1; the smaller half comes first."""

    def read_window(self, options: OptionReader, strides: tuple[int, int]) -> FeatureShape:
        """The pooled shape, after taking the window from the options."""
        self.strides = strides
        stride = options.integer("stride", 1, minimum=1)
        self.size = options.integer("size", stride, minimum=1, maximum=LARGEST_KERNEL)
        self.padding = options.integer("padding", self.size - 1, maximum=LARGEST_KERNEL)
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
        return FeatureShape(self.source.channels, height, width)

    def write_window(
        self, writer: GraphWriter, tensor: Any, layer: str, pooled: FeatureShape, suffix: str
    ) -> Any:
        """`tensor` pooled by a layer of this type."""
        begin = self.padding // 2
        ends = (
            (out - 1) * stride + self.size - extent - begin
            for out, stride, extent in zip(pooled.area, self.strides, self.source.area, strict=True)
        )
        # A stride may leave the last rows unread: then there is nothing to pad behind them.
        padding = (begin, begin, *(max(end, 0) for end in ends))
        return writer.layer(
            layer,
            [self.spatial(writer, tensor)],
            suffix,
            kernel=(self.size, self.size),
            strides=self.strides,
            padding=padding,
        )


class MaxPool(_Windowed):
    """The largest value of every window; with `maxpool_depth=1` of every `out_channels`-th
    channel instead."""

    names = ("maxpool", "max")
    ignored = frozenset({"maxpool_zero_nonmax"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        strides, self.blur = read_blurred_strides(options)
        self.pooled = self.read_window(options, strides)
        channels = options.integer("out_channels", 1, minimum=1)
        self.is_deep = options.flag("maxpool_depth")
        if not self.is_deep:
            self.output = self.blur.output(self.pooled) if self.blur else self.pooled
            return
        # Window, strides and blur count for nothing then, as in the fork.
        if channels > self.source.channels:
            raise options.error(
                "out_channels",
                f"out_channels={channels} is more than the {self.source.channels} channels that "
                "are there",
            )
        self.output = FeatureShape(channels, *self.source.area)

    def power(self, inputs: Sequence[float]) -> float:
        return 1.2 * inputs[0] if self.size > 1 or self.is_deep else inputs[0]

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        if self.is_deep:
            return self._write_deep(writer, self.spatial(writer, inputs[0]))
        suffix = suffixes(["pool", "blur"] if self.blur else ["pool"])
        tensor = self.write_window(writer, inputs[0], "MaxPooling", self.pooled, suffix["pool"])
        return self.blur.write(writer, tensor, self.pooled.channels) if self.blur else tensor

    def _write_deep(self, writer: GraphWriter, tensor: Any) -> Any:
        rounds = -(-self.source.channels // self.output.channels)
        missing = rounds * self.output.channels - self.source.channels
        if missing:
            tensor = writer.layer(
                "Pad", [tensor], "pad", padding=(0, 0, 0, 0, 0, missing, 0, 0), value=LEAST
            )
        shape = (0, rounds, self.output.channels, *self.output.area)
        tensor = writer.layer("Reshape", [tensor], "rounds", shape=shape)
        return writer.layer("ReduceMax", [tensor], axes=(1,), keep_dims=False)


class LocalAveragePool(_Windowed):
    """The mean of every window; what is padded does not count. The fork's."""

    names = ("local_avgpool", "local_avg")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.output = self.read_window(options, read_strides(options))

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return self.write_window(writer, inputs[0], "AveragePooling", self.output, "")


class AveragePool(DarknetLayer):
    """The mean of every channel."""

    names = ("avgpool", "avg")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.output = FeatureShape(self.source.channels)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer("GlobalAveragePooling", [self.spatial(writer, inputs[0])])
