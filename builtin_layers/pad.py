"""Pad: a border of one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plugins import (
    BLOCK,
    Array,
    CalibratedRange,
    Combination,
    Format,
    LayerPlugin,
    RangeRule,
    SameRange,
    Shape,
    ShapeError,
    Stream,
    TensorDesc,
    attribute,
    format_shape,
)
from ..plugins.native import copying
from .data_movement import DataMovement


class Pad(DataMovement):
    """The input with a border of `value` on every axis. ONNX Pad, mode constant.

    `padding` is (begin of axis 0, ..., end of axis 0, ...); negative entries crop. Int8 tensors
    store `value` at their scale, limited to what the type holds. Blocked formats take whole
    channel blocks.
    """

    type = "Pad"
    formats = tuple(Format)
    padding: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...], doc="elements before each axis, then behind each axis"
    )
    value = attribute(float, 0.0, "value of the border")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        shape = inputs[0].shape
        begins, ends = self.borders(shape)
        sizes = [begin + size + end for begin, size, end in zip(begins, shape, ends, strict=True)]
        for size in sizes:
            if isinstance(size, int) and size < 0:
                raise ShapeError(
                    f"Pad: padding {self.padding} crops more than {format_shape(shape)} has"
                )
        return tuple(sizes)

    def borders(self, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(before, behind) every axis. Raises ShapeError when the rank does not fit."""
        rank = len(shape)
        if len(self.padding) != 2 * rank:
            raise ShapeError(
                f"Pad: padding {self.padding} has {len(self.padding)} entries; "
                f"{format_shape(shape)} needs {2 * rank}, one before and one behind each axis"
            )
        return self.padding[:rank], self.padding[rank:]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        array = np.asarray(inputs[0])
        begins, ends = self.borders(array.shape)
        pairs = list(zip(begins, ends, strict=True))
        kept = tuple(
            slice(max(-begin, 0), size - max(-end, 0))
            for (begin, end), size in zip(pairs, array.shape, strict=True)
        )
        border = [(max(begin, 0), max(end, 0)) for begin, end in pairs]
        value = np.array(self.value).astype(array.dtype)
        return [np.pad(array[kept], border, constant_values=value)]

    def permuted(self, order: Sequence[int]) -> LayerPlugin | None:
        rank = len(order)
        begins, ends = self.padding[:rank], self.padding[rank:]
        return self.clone(padding=tuple(side[axis] for side in (begins, ends) for axis in order))

    def outputRange(self, index: int) -> RangeRule:
        # Zero is in every range.
        return SameRange(0) if self.value == 0 else CalibratedRange()

    def supportsFormat(self, combination: Combination) -> bool:
        source = combination.inputs[0]
        if source.format is Format.CHANNELS_BLOCKED_16:
            begins, ends = self.borders(source.shape)
            if begins[1] % BLOCK or ends[1] % BLOCK:
                return False
        same = source.format is combination.outputs[0].format
        return same and super().supportsFormat(combination)

    def enqueue(
        self, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any, stream: Stream
    ) -> None:
        source, target = inputs[0], outputs[0]
        value = self._stored(target.desc)
        key = ("plugrt.Pad", str(value.dtype), value.tobytes())
        border = stream.store.pack(key, lambda: value)
        begins, ends = self.borders(source.shape)
        for axis, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            kept = source.shape[axis] + min(begin, 0) + min(end, 0)
            source = source.slice(axis, max(-begin, 0), kept)
            before, behind = max(begin, 0), max(end, 0)
            # The slabs of later axes lie between those of earlier ones.
            for start, size in ((0, before), (before + kept, behind)):
                if size:
                    copying.record(stream, border, target.slice(axis, start, size))
            target = target.slice(axis, before, kept)
        copying.record(stream, source, target)

    def _stored(self, desc: TensorDesc) -> Array:
        """The border's value as one element of the tensor, a scalar."""
        if desc.quantization is None:
            return np.array(self.value).astype(desc.dtype.numpy)
        scale, zero_point = desc.quantization.scale[0], desc.quantization.zero_point[0]
        limits = np.iinfo(desc.dtype.numpy)
        stored = np.rint(self.value / scale) + zero_point
        return np.array(np.clip(stored, limits.min, limits.max)).astype(desc.dtype.numpy)
