"""[upsample] and [crop]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter, suffixes
from ..option_reader import LARGEST, OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer


class Upsample(DarknetLayer):
    """Repeats every pixel `stride` times in both directions; with a negative stride adds up
    blocks of as many pixels. Either times `scale`."""

    names = ("upsample",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        stride = options.integer("stride", 2, minimum=-LARGEST)
        if stride == 0:
            raise options.error("stride", "stride=0 makes nothing; write the factor")
        self.stride, self.is_reversed = abs(stride), stride < 0
        self.scale = options.number("scale", 1.0)
        height, width = self.source.area
        if not self.is_reversed:
            height, width = height * self.stride, width * self.stride
        elif height % self.stride or width % self.stride:
            raise options.error(
                "stride", f"stride={stride} does not divide the input {self.source}"
            )
        else:
            height, width = height // self.stride, width // self.stride
        self.output = FeatureShape(self.source.channels, height, width)

    @property
    def _factor(self) -> float:
        """What the means of blocks, or the pixels, are multiplied by."""
        return self.scale * self.stride**2 if self.is_reversed else self.scale

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * self._factor**2

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = self.spatial(writer, inputs[0])
        suffix = suffixes(["resampled"] if self._factor == 1 else ["resampled", "scaled"])
        factors = (self.stride, self.stride)
        if self.is_reversed:
            tensor = writer.layer(
                "AveragePooling", [tensor], suffix["resampled"], kernel=factors, strides=factors
            )
        else:
            tensor = writer.layer(
                "Upsample", [tensor], suffix["resampled"], scales=factors, mode="nearest"
            )
        if self._factor == 1:
            return tensor
        factor = writer.constant("scale", np.asarray(self._factor, np.float32))
        return writer.layer("Multiply", [tensor, factor])


class Crop(DarknetLayer):
    """The middle of the input; unless `noadjust=1` also 2 x - 1. What else there is to it
    happens in training only."""

    names = ("crop",)
    ignored = frozenset({"angle", "exposure", "flip", "saturation", "shift"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        height = options.integer("crop_height", 1, minimum=1)
        width = options.integer("crop_width", 1, minimum=1)
        for name, size, whole in (
            ("crop_height", height, self.source.height),
            ("crop_width", width, self.source.width),
        ):
            if size > whole:
                raise options.error(name, f"{name}={size} is more than the input {self.source} has")
        self.adjusts = not options.flag("noadjust")
        self.output = FeatureShape(self.source.channels, height, width)

    def power(self, inputs: Sequence[float]) -> float:
        return 4 * inputs[0] if self.adjusts else inputs[0]

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = self.spatial(writer, inputs[0])
        starts = [
            (whole - part) // 2
            for whole, part in zip(self.source.area, self.output.area, strict=True)
        ]
        ends = [start + part for start, part in zip(starts, self.output.area, strict=True)]
        tensor = writer.layer(
            "Slice", [tensor], "middle" if self.adjusts else "",
            axes=(2, 3), starts=tuple(starts), ends=tuple(ends),
        )  # fmt: skip
        if not self.adjusts:
            return tensor
        ones = np.ones(self.source.channels, np.float32)
        operands = [writer.constant("scale", 2 * ones), writer.constant("shift", -ones)]
        return writer.layer("Scale", [tensor, *operands])
