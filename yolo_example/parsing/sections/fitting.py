"""What [shortcut] does with an earlier layer of another size than the layer before.

Both Darknets add where both have a value and leave the rest; they differ in what lies where.
Tensors are [N, C, H, W] here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..shapes import FeatureShape


@dataclass(frozen=True)
class StridedFit:
    """The first Darknet's: common channels of `added` and `target` meet. Of a larger layer every
    `reading`-th pixel is read; a smaller one meets every `writing`-th pixel of the target. Both
    are ratios of the widths, rounded down."""

    added: FeatureShape
    target: FeatureShape

    @property
    def fits(self) -> bool:
        """Whether the heights have the widths' ratio, as Darknet demands."""
        a, t = self.added, self.target
        return a.width // t.width == a.height // t.height and (
            t.width // a.width == t.height // a.height
        )

    @property
    def reading(self) -> int:
        """Distance of the pixels that are read."""
        return max(self.added.width // self.target.width, 1)

    @property
    def writing(self) -> int:
        """Distance of the pixels that something is added to."""
        return max(self.target.width // self.added.width, 1)

    @property
    def common(self) -> tuple[int, int, int]:
        """How many channels, rows and columns meet."""
        height, width = map(min, self.added.area, self.target.area)
        return min(self.added.channels, self.target.channels), height, width

    def factors(self, factor: float) -> Array:
        """`factor` where something is added to, 1 elsewhere: [C, H, W] of the target, or [] where
        it is one number."""
        whole = self.target.dimensions
        if factor == 1 or self.common == whole:
            return np.asarray(factor, np.float32)
        channels, height, width = self.common
        step = self.writing
        factors = np.ones(whole, np.float32)
        factors[:channels, : height * step : step, : width * step : step] = factor
        return factors

    def write(self, writer: GraphWriter, tensor: Any, name: str) -> Any:
        """`tensor` in the target's shape, zero where it adds nothing."""
        channels, height, width = self.common
        read, written = self.reading, self.writing
        if self.common != self.added.dimensions:
            tensor = writer.layer(
                "Slice", [tensor], f"{name}.slice", axes=(1, 2, 3), starts=(0, 0, 0),
                ends=(channels, (height - 1) * read + 1, (width - 1) * read + 1),
                steps=(1, read, read),
            )  # fmt: skip
        if written > 1:
            # Zeros behind every pixel: an axis of one is padded to an axis of `written`.
            apart, rest = (0, channels, height, 1, width, 1), written - 1
            tensor = writer.layer("Reshape", [tensor], f"{name}.apart", shape=apart)
            padding = (0,) * 9 + (rest, 0, rest)
            tensor = writer.layer("Pad", [tensor], f"{name}.spread", padding=padding)
            height, width = height * written, width * written
            together = (0, channels, height, width)
            tensor = writer.layer("Reshape", [tensor], f"{name}.together", shape=together)
        return _padded(writer, tensor, (channels, height, width), self.target.dimensions, name)


def flat_fit(
    writer: GraphWriter, tensor: Any, added: FeatureShape, target: FeatureShape, name: str
) -> Any:
    """`tensor`, of the shape `added`, in the target's as the fork adds it: all numbers of an image
    in a row, as many as the target has, and zeros behind them."""
    if added.area == target.area:
        return StridedFit(added, target).write(writer, tensor, name)
    size, room = added.size, target.size
    tensor = writer.layer("Reshape", [tensor], f"{name}.flat", shape=(0, size))
    if size > room:
        tensor = writer.layer(
            "Slice", [tensor], f"{name}.slice", axes=(1,), starts=(0,), ends=(room,)
        )
    tensor = _padded(writer, tensor, (min(size, room),), (room,), name)
    return writer.layer("Reshape", [tensor], f"{name}.spatial", shape=(0, *target.dimensions))


def _padded(
    writer: GraphWriter, tensor: Any, sizes: tuple[int, ...], wanted: tuple[int, ...], name: str
) -> Any:
    """`tensor` [N, *sizes] with zeros at the ends, as [N, *wanted]."""
    if sizes == wanted:
        return tensor
    missing = (whole - part for whole, part in zip(wanted, sizes, strict=True))
    padding = (0,) * (len(sizes) + 2) + tuple(missing)
    return writer.layer("Pad", [tensor], f"{name}.pad", padding=padding)
