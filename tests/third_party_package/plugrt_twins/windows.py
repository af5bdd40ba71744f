"""Windows that slide over the spatial dimensions of [N, C, spatial...]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from plugrt.plugins import (
    BLOCK,
    Array,
    DimLike,
    Format,
    Shape,
    ShapeError,
    TensorDesc,
    ceil_div,
    dim_min,
    floor_div,
    format_shape,
)


@dataclass(frozen=True)
class Window:
    """Size, steps and padding; one entry per spatial dimension in each field."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(
        cls,
        layer: str,
        size: Sequence[int],
        strides: Sequence[int] = (),
        dilations: Sequence[int] = (),
        padding: Sequence[int] = (),
    ) -> Window:
        """From attributes: () means ones, for padding (begins..., ends...) zeros.

        Raises ShapeError, naming `layer`, for a wrong number of entries or impossible ones.
        """
        rank = len(size)
        padding = tuple(padding) or (0,) * (2 * rank)
        strides = tuple(strides) or (1,) * rank
        dilations = tuple(dilations) or (1,) * rank
        for name, values, count, least in (
            ("window", size, rank, 1),
            ("strides", strides, rank, 1),
            ("dilations", dilations, rank, 1),
            ("padding", padding, 2 * rank, 0),
        ):
            if len(values) != count or any(value < least for value in values):
                raise ShapeError(
                    f"{layer}: {name} {tuple(values)} must be {count} numbers of at least {least}"
                )
        return cls(tuple(size), strides, dilations, padding[:rank], padding[rank:])

    @property
    def extent(self) -> tuple[int, ...]:
        """Input elements that one window spans."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.size, self.dilations, strict=True))

    @property
    def is_point(self) -> bool:
        """True when an output sees just the input element at its own place."""
        moves = {*self.size, *self.strides} - {1}
        return not moves and not any((*self.before, *self.after))

    def counts(self, layer: str, sizes: Shape, round_up: bool = False) -> tuple[DimLike, ...]:
        """Windows per dimension for possibly symbolic `sizes`.

        With `round_up` a last window may leave the padded input if it begins inside. Raises
        ShapeError, naming `layer`, where a window does not fit.
        """
        if len(sizes) != len(self.size):
            raise ShapeError(
                f"{layer}: the window {self.size} does not fit the {len(sizes)} spatial "
                f"dimensions of the input ({format_shape(sizes)})"
            )
        found: list[DimLike] = []
        for axis, size in enumerate(sizes):
            step = self.strides[axis]
            room = size + (self.before[axis] + self.after[axis] - self.extent[axis])
            if isinstance(room, int) and room < 0:
                raise ShapeError(
                    f"{layer}: a window of {self.extent} is larger than the padded input of "
                    f"{format_shape(sizes)}; pad more or use a smaller window"
                )
            count = (ceil_div(room, step) if round_up else floor_div(room, step)) + 1
            if round_up:
                count = dim_min(count, ceil_div(size + self.before[axis], step))
            found.append(count)
        return tuple(found)

    def exact_after(self, sizes: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
        """End padding with which the windows fill the input exactly, as oneDNN counts it."""
        rows = zip(sizes, counts, self.strides, self.extent, self.before, strict=True)
        return tuple(
            (count - 1) * step + extent - size - before
            for size, count, step, extent, before in rows
        )

    def contents(self, array: Array, counts: Sequence[int], fill: float) -> Array:
        """What every window sees: [N, C, counts..., window size...], padded with `fill`."""
        after = self.exact_after(array.shape[2:], counts)
        widths = [(b, max(a, 0)) for b, a in zip(self.before, after, strict=True)]
        padded = np.pad(array, [(0, 0), (0, 0), *widths], constant_values=fill)
        spatial = tuple(range(2, array.ndim))
        seen = sliding_window_view(padded, self.extent, axis=spatial)
        steps = [slice(0, (n - 1) * s + 1, s) for n, s in zip(counts, self.strides, strict=True)]
        gaps = [slice(None, None, gap) for gap in self.dilations]
        return seen[(slice(None), slice(None), *steps, *gaps)]

    def in_three_dimensions(self) -> Window:
        """With leading dimensions of size 1, as C kernels take it."""
        return Window(
            three(self.size, 1), three(self.strides, 1), three(self.dilations, 1),
            three(self.before, 0), three(self.after, 0),
        )  # fmt: skip


def three(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Spatial values, three in all, with leading `filler`s."""
    return (filler,) * (3 - len(values)) + tuple(values)


def points_of(desc: TensorDesc) -> tuple[tuple[int, int], int, tuple[int, ...]]:
    """A tensor as volumes of points of neighbouring channels, whatever its format.

    (numbers of volumes: images and parts of their channels; elements of a point; strides of
    image, part, depth, height and width).
    """
    images, channels = desc.sizes[:2]
    per_point = {Format.LINEAR: 1, Format.CHANNELS_LAST: channels}.get(desc.format, BLOCK)
    image, part, *spatial = desc.element_strides
    return (images, channels // per_point), per_point, (image, part, *three(spatial, 0))
