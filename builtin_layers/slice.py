"""Slice: every step-th element of a range, per axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..plugins import (
    BLOCK,
    Alias,
    Array,
    Combination,
    DimLike,
    Format,
    LayerAttributeError,
    LayerNode,
    LayerPlugin,
    Patch,
    Shape,
    Stream,
    TensorDesc,
    TensorView,
    ViewOf,
    attribute,
    ceil_div,
    dim_min,
)
from ..plugins.native import copying
from .axes import normalize_axes
from .data_movement import DataMovement, is_in_place, stepped
from .pieces import Cut, Cutting, Piece, read_before_join
from .shape_arithmetic import from_dims, known_dims

UNLIMITED = 2**31 - 1
"""Bounds from here on mean the end of the axis, as in ONNX models."""


class Range(NamedTuple):
    """`size` elements of an axis: begin, begin + step, ..."""

    begin: DimLike
    size: DimLike
    step: int


class Slice(DataMovement, Cutting):
    """input[starts[0]:ends[0]:steps[0], ...] along `axes`, as in NumPy and ONNX Slice.

    Bounds below zero count from the end; bounds outside of the axis are moved to it. On a
    symbolic axis `starts` must lie inside it. The output is a view where it is one gapless
    piece of memory. Blocked formats take whole channel blocks.
    """

    type = "Slice"
    formats = tuple(Format)
    starts: attribute[tuple[int, ...]] = attribute(tuple[int, ...], doc="first index per axis")
    ends: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="index behind the last, per axis"
    )
    axes = attribute(tuple[int, ...], (), "axes to cut; () means the first ones")
    steps = attribute(
        tuple[int, ...], (), "distances, not 0; () means 1",
        allowed=lambda steps: 0 not in steps, rule="steps other than 0",
    )  # fmt: skip

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._check_lengths()

    def _check_lengths(self) -> None:
        count = len(self.starts)
        for name in ("ends", "axes", "steps"):
            values = self.attribute_values[name]
            if len(values) != count and (values or name == "ends"):
                raise LayerAttributeError(
                    f"Slice: {name}={values} has {len(values)} entries, starts={self.starts} "
                    f"has {count}; give as many"
                )

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(part.size for part in self.ranges(inputs[0].shape))

    def ranges(self, shape: Shape) -> list[Range]:
        """What is taken of every axis of a tensor of this shape."""
        self._check_lengths()  # a plan's attributes do not pass the constructor
        axes = normalize_axes(self.type, self.axes or range(len(self.starts)), len(shape))
        steps = self.steps or (1,) * len(axes)
        ranges = [Range(0, size, 1) for size in shape]
        for axis, start, end, step in zip(axes, self.starts, self.ends, steps, strict=True):
            ranges[axis] = _range(shape[axis], start, end, step)
        return ranges

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        array = np.asarray(inputs[0])
        axes = normalize_axes(self.type, self.axes or range(len(self.starts)), array.ndim)
        steps = self.steps or (1,) * len(axes)
        index = [slice(None)] * array.ndim
        for axis, start, end, step in zip(axes, self.starts, self.ends, steps, strict=True):
            index[axis] = slice(start, end, step)
        return [array[tuple(index)]]

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Array | None:
        dims = known_dims(inputs[0])
        return None if dims is None else from_dims(self.reference([dims])[0], inputs[0].dtype)

    def supportsFormat(self, combination: Combination) -> bool:
        source = combination.inputs[0]
        if source.format is Format.CHANNELS_BLOCKED_16:
            begin, size, step = self.ranges(source.shape)[1]
            whole = all(isinstance(n, int) and n % BLOCK == 0 for n in (begin, size))
            if not whole or step != 1:
                return False
        same = source.format is combination.outputs[0].format
        return same and super().supportsFormat(combination)

    def cut(self, shape: Shape) -> Cut | None:
        ranges = self.ranges(shape)
        parts = [k for k, part in enumerate(ranges) if part != (0, shape[k], 1)] or [0]
        begin, size, step = ranges[parts[0]]
        if len(parts) > 1 or step != 1 or not (isinstance(begin, int) and isinstance(size, int)):
            return None
        return Cut(parts[0], [Piece(begin, size)])

    def rewrite(self, view: LayerNode) -> Patch | None:
        source = view.inputs[0]
        if source is None:
            return None
        shape = source.desc.shape
        ranges = self.ranges(shape)
        if view.outputs[0].is_output or any(
            part != (0, size, 1) for part, size in zip(ranges, shape, strict=True)
        ):
            return read_before_join(view, taking)
        patch = Patch()
        patch.replace(view.outputs[0], source)
        return patch

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        axes = normalize_axes(self.type, self.axes or range(len(self.starts)), len(order))
        return self.clone(axes=tuple(list(order).index(axis) for axis in axes))

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        part = self._part(TensorView(inputs[0], slot=0))
        if inputs[0].format is not outputs[0].format:
            return ()
        if part.desc.is_dense:
            return (ViewOf(0, 0, part.offset),)
        ranges = self.ranges(inputs[0].shape)
        whole = [
            taken == (0, size, 1) for taken, size in zip(ranges, inputs[0].shape, strict=True)
        ]
        if all(whole[:1] + whole[2:]) and ranges[1].step == 1:  # channels, for who takes gaps
            return (ViewOf(0, 0, part.offset, part.desc.element_strides),)
        return ()

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        part = self._part(inputs[0])
        if not is_in_place(part, outputs[0]):
            copying.record(stream, part, outputs[0])

    def _part(self, source: TensorView) -> TensorView:
        ranges = self.ranges(source.shape)
        begins, sizes, steps = zip(*ranges, strict=True) if ranges else ((), (), ())
        return stepped(source, begins, sizes, steps)


def taking(axis: int, piece: Piece) -> Slice:
    """The slice that takes one piece of one axis."""
    start, size = piece
    return Slice(starts=(start,), ends=(start + size,), axes=(axis,))


def _range(size: DimLike, start: int, end: int, step: int) -> Range:
    if isinstance(size, int):
        indices = range(*slice(start, end, step).indices(size))
        return Range(indices.start, len(indices), step)
    last = size if step > 0 else size - 1
    begin = _position(start, size, last)
    if step > 0:
        return Range(begin, ceil_div(_position(end, size, last) - begin, step), step)
    behind = -1 if end <= -UNLIMITED else _position(end, size, last)
    return Range(begin, ceil_div(begin - behind, -step), step)


def _position(bound: int, size: DimLike, last: DimLike) -> DimLike:
    """A bound as an index of a symbolic axis."""
    if bound <= -UNLIMITED or bound == 0:
        return 0
    if bound < 0:
        return size + bound
    return last if bound >= UNLIMITED else dim_min(bound, last)
