"""[upsample], [reorg] and [reorg3d]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer


class Upsample(DarknetLayer):
    """Repeats every pixel `stride` times in both directions, times `scale`."""

    names = ("upsample",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.stride = options.integer("stride", 2, minimum=1)
        self.scale = options.number("scale", 1.0)
        height, width = self.source.area
        self.output = FeatureShape(self.source.channels, height * self.stride, width * self.stride)

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * self.scale**2

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = writer.layer(
            "Upsample",
            [self.spatial(writer, inputs[0])],
            "" if self.scale == 1 else "upsample",
            scales=(self.stride, self.stride),
            mode="nearest",
        )
        if self.scale == 1:
            return tensor
        factor = writer.constant("scale", np.asarray(self.scale, np.float32))
        return writer.layer("Multiply", [tensor, factor])


class Reorg(DarknetLayer):
    """Moves pixels to channels, in the order of YOLOv2; with `reverse=1` the other way."""

    names = ("reorg",)
    unsupported = {"extra": 0, "flatten": 0}
    order: ClassVar[str] = "darknet"

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.stride = options.integer("stride", 1, minimum=1)
        self.reverse = options.flag("reverse")
        channels, area = self.source.channels, self.stride**2
        height, width = self.source.area
        if self.reverse:
            fits = channels % area == 0
            self.output = FeatureShape(channels // area, height * self.stride, width * self.stride)
        else:
            # YOLOv2's order is that of an input with `area` times fewer channels.
            divisible = channels % area == 0 or self.order != "darknet"
            fits = height % self.stride == 0 == width % self.stride and divisible
            self.output = FeatureShape(channels * area, height // self.stride, width // self.stride)
        if not fits:
            raise options.error(
                "stride", f"stride={self.stride} does not divide the input {self.source}"
            )

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer(
            "Darknet.Reorg",
            [self.spatial(writer, inputs[0])],
            stride=self.stride,
            reverse=self.reverse,
            order=self.order,
        )


class Reorg3d(Reorg):
    """The fork's corrected order: block by block."""

    names = ("reorg3d",)
    order = "blocks"
