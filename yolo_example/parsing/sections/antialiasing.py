"""`antialiasing`: a layer of stride 1, then a fixed blur with the stride. The fork's.

Source: Zhang, Making Convolutional Networks Shift-Invariant Again (arXiv:1904.11486).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape


@dataclass(frozen=True)
class Blur:
    """Every channel blurred with one kernel: for `antialiasing=2` the mean of 2x2 pixels, for
    other values the binomial of 3x3 with a border of one zero. Its weights are in no file."""

    size: int
    strides: tuple[int, int]

    @property
    def padding(self) -> int:
        """Zeros on every side."""
        return 1 if self.size == 3 else 0

    def output(self, source: FeatureShape) -> FeatureShape:
        """The blurred shape."""
        height, width = (
            (extent + 2 * self.padding - self.size) // stride + 1
            for extent, stride in zip(source.area, self.strides, strict=True)
        )
        return FeatureShape(source.channels, height, width)

    def write(self, writer: GraphWriter, tensor: Any, channels: int) -> Any:
        """`tensor` blurred; the layer bears the section's name."""
        row = np.asarray([1, 2, 1] if self.size == 3 else [1, 1], np.float32)
        kernel = np.outer(row, row) / row.sum() ** 2
        weights = np.broadcast_to(kernel, (channels, 1, self.size, self.size))
        return writer.layer(
            "Convolution",
            [tensor, writer.constant("blur_weights", np.ascontiguousarray(weights))],
            strides=self.strides,
            padding=(self.padding,) * 4,
            groups=channels,
        )


def read_strides(options: OptionReader) -> tuple[int, int]:
    """Vertical and horizontal stride, by default both `stride`."""
    stride = options.integer("stride", 1, minimum=1)
    return (
        options.integer("stride_y", stride, minimum=1),
        options.integer("stride_x", stride, minimum=1),
    )


def read_blurred_strides(options: OptionReader) -> tuple[tuple[int, int], Blur | None]:
    """The strides of the layer itself, and the blur behind it."""
    strides = read_strides(options)
    kind = options.integer("antialiasing", 0)
    if not kind:
        return strides, None
    return (1, 1), Blur(2 if kind == 2 else 3, strides)
