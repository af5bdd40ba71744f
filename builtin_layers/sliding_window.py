"""Windows that slide over the spatial dimensions: what convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..plugins import Array, DimLike, Shape, ShapeError, ceil_div, dim_min, floor_div, format_shape

SPATIAL_IN_C = 3
"""Spatial dimensions that the C kernels see; missing ones are added in front with size 1."""


@dataclass(frozen=True)
class SlidingWindow:
    """A window's extent and steps, one entry per spatial dimension in every field."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(
        cls,
        owner: str,
        kernel: Sequence[int],
        strides: Sequence[int] = (),
        dilations: Sequence[int] = (),
        padding: Sequence[int] = (),
    ) -> SlidingWindow:
        """The window of attributes, in which () means ones, for padding zeros.

        `padding` is (begin of each axis..., end of each axis...). Raises ShapeError, naming
        `owner`, when lengths or values are impossible.
        """
        rank = len(kernel)
        window = cls(
            tuple(kernel),
            tuple(strides) or (1,) * rank,
            tuple(dilations) or (1,) * rank,
            tuple(padding[: len(padding) // 2]) or (0,) * rank,
            tuple(padding[len(padding) // 2 :]) or (0,) * rank,
        )
        for name, values, least in (
            ("kernel", window.kernel, 1),
            ("strides", window.strides, 1),
            ("dilations", window.dilations, 1),
            ("padding", window.before + window.after, 0),
        ):
            wanted = 2 * rank if name == "padding" else rank
            if len(values) != wanted:
                raise ShapeError(
                    f"{owner}: {name} {values} has {len(values)} entries; a window of "
                    f"{rank} dimensions needs {wanted}"
                )
            if any(value < least for value in values):
                raise ShapeError(f"{owner}: {name} {values} must not go below {least}")
        return window

    @property
    def extent(self) -> tuple[int, ...]:
        """Input elements from the first to the last that one window covers, per axis."""
        return tuple(
            (size - 1) * step + 1
            for size, step in zip(self.kernel, self.dilations, strict=True)
        )

    @property
    def covers_one_element(self) -> bool:
        """True when each output sees exactly the input element at its own place."""
        ones = (1,) * len(self.kernel)
        return self.kernel == ones and self.strides == ones and not any(self.before + self.after)

    def output_sizes(
        self, owner: str, sizes: Shape, ceil_mode: bool = False
    ) -> tuple[DimLike, ...]:
        """Spatial sizes of the output for possibly symbolic input sizes.

        With `ceil_mode` a last window may leave the padded input, if it starts before its end
        padding (as in Caffe and ONNX). Raises ShapeError when the window does not fit.
        """
        if len(sizes) != len(self.kernel):
            raise ShapeError(
                f"{owner}: the window {self.kernel} has {len(self.kernel)} spatial dimensions, "
                f"the input has {len(sizes)} ({format_shape(sizes)})"
            )
        found: list[DimLike] = []
        rows = zip(sizes, self.extent, self.strides, self.before, self.after, strict=True)
        for size, extent, step, before, after in rows:
            room = size + (before + after - extent)
            if isinstance(room, int) and room < 0:
                raise ShapeError(
                    f"{owner}: a window of {extent} does not fit into the input of "
                    f"{format_shape(sizes)} with padding {self.before + self.after}; "
                    "use a larger input, more padding or a smaller window"
                )
            count = (ceil_div(room, step) if ceil_mode else floor_div(room, step)) + 1
            found.append(dim_min(count, ceil_div(size + before, step)) if ceil_mode else count)
        return tuple(found)

    def padding_used(self, sizes: Sequence[int], output_sizes: Sequence[int]) -> tuple[int, ...]:
        """End padding with which the windows fill the padded input exactly; negative where they
        leave some of the input out."""
        rows = zip(sizes, output_sizes, self.strides, self.extent, self.before, strict=True)
        return tuple(
            (count - 1) * step + extent - size - before
            for size, count, step, extent, before in rows
        )

    def offsets(self) -> Iterator[tuple[int, ...]]:
        """Every position of the kernel, as distances from the window's first element."""
        for position in np.ndindex(*self.kernel):
            yield tuple(p * d for p, d in zip(position, self.dilations, strict=True))

    def views(self, padded: Array, output_sizes: Sequence[int]) -> Iterator[Array]:
        """For each kernel position the elements all windows see there: [N, C, output sizes...].

        `padded` is [N, C, sizes...] with the padding in place, long enough for every window.
        """
        for offset in self.offsets():
            index = [slice(None), slice(None)]
            for start, step, count in zip(offset, self.strides, output_sizes, strict=True):
                index.append(slice(start, start + (count - 1) * step + 1, step))
            yield padded[tuple(index)]

    def pad(self, array: Array, output_sizes: Sequence[int], value: float) -> Array:
        """`array` [N, C, sizes...] with `value` all round, far enough for every window."""
        widths = [(0, 0), (0, 0)]
        used = self.padding_used(array.shape[2:], output_sizes)
        widths += [(before, max(after, 0)) for before, after in zip(self.before, used, strict=True)]
        return np.pad(array, widths, constant_values=value)

    def in_three_dimensions(self) -> SlidingWindow:
        """The same window with leading dimensions of size 1, as the C kernels take it."""
        missing = SPATIAL_IN_C - len(self.kernel)
        ones, zeros = (1,) * missing, (0,) * missing
        return SlidingWindow(
            ones + self.kernel,
            ones + self.strides,
            ones + self.dilations,
            zeros + self.before,
            zeros + self.after,
        )


POINT = SlidingWindow((1, 1), (1, 1), (1, 1), (0, 0), (0, 0))
"""The window of a 1x1 convolution of images."""


def spatial_in_three_dimensions(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Spatial sizes or strides with leading `filler`s, three in all."""
    return (filler,) * (SPATIAL_IN_C - len(values)) + tuple(values)
