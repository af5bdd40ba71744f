"""[reorg] and [reorg3d]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer


class Reorg(DarknetLayer):
    """Moves pixels to channels, in the order of YOLOv2; with `reverse=1` the other way.

    With `flatten=1` an image's numbers go pixel by pixel instead of channel by channel, or back;
    with `extra=N` they stay and N zeros follow. Both are the first Darknet's.
    """

    names = ("reorg",)
    order: ClassVar[str] = "darknet"
    has_extras: ClassVar[bool] = True

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.stride = options.integer("stride", 1, minimum=1)
        self.reverse = options.flag("reverse")
        self.flatten = self.has_extras and options.flag("flatten")
        self.extra = options.integer("extra", 0) if self.has_extras else 0
        if self.extra and self.flatten:
            raise options.error("extra", "extra and flatten exclude each other; delete one")
        if self.extra:
            self.output = FeatureShape(self.source.size + self.extra, flat=True)
            return
        channels, area = self.source.channels, self.stride**2
        height, width = self.source.area
        if self.reverse:
            fits = channels % area == 0
            self.output = FeatureShape(channels // area, height * self.stride, width * self.stride)
        else:
            # YOLOv2's order is that of an input with `area` times fewer channels.
            divisible = channels % area == 0 or self.order != "darknet" or self.flatten
            fits = height % self.stride == 0 == width % self.stride and divisible
            self.output = FeatureShape(channels * area, height // self.stride, width // self.stride)
        if not fits:
            raise options.error(
                "stride", f"stride={self.stride} does not divide the input {self.source}"
            )

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = inputs[0]
        if self.extra:
            if not self.source.flat:
                tensor = writer.layer("Flatten", [tensor], "flat", axis=1)
            return writer.layer("Pad", [tensor], padding=(0, 0, 0, self.extra))
        if self.flatten:
            return self._write_flatten(writer, tensor)
        return writer.layer(
            "Darknet.Reorg",
            [self.spatial(writer, tensor)],
            stride=self.stride,
            reverse=self.reverse,
            order=self.order,
        )

    def _write_flatten(self, writer: GraphWriter, tensor: Any) -> Any:
        pixels = self.source.height * self.source.width
        matrix = (self.source.channels, pixels)
        rows = matrix[::-1] if self.reverse else matrix
        tensor = writer.layer("Reshape", [tensor], "matrix", shape=(0, *rows))
        tensor = writer.layer("Transpose", [tensor], "transposed", permutation=(0, 2, 1))
        return writer.layer("Reshape", [tensor], shape=(0, *self.output.dimensions))


class Reorg3d(Reorg):
    """The fork's corrected order: block by block."""

    names = ("reorg3d",)
    order = "blocks"
    has_extras = False
