"""Pooling.

Caffe pads both sides alike and rounds the number of windows up, Darknet may pad one more behind
and rounds down: what Caffe has too many is dropped again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..conversion import Conversion, NotExportableError
from .arithmetic import add_factors
from .products import sides
from .registry import converts


@converts("GlobalAveragePooling")
def global_average_pooling(layer: Conversion) -> str:
    return layer.add("Pooling", layer.blobs(), "pooling", pool="AVE", global_pooling=True)


@converts("MaxPooling")
def max_pooling(layer: Conversion) -> str:
    if any(dilation != 1 for dilation in layer.plugin.dilations):
        raise NotExportableError("Caffe's pooling knows no dilation")
    return _add_pooling(layer, "MAX", _windows(layer))


@converts("AveragePooling")
def average_pooling(layer: Conversion) -> str:
    """Caffe counts padding; where it must not count, every mean gets a factor."""
    if layer.plugin.count_include_padding and any(layer.plugin.padding):
        raise NotExportableError("only means without the padding are formed")
    windows = _windows(layer)
    blob = _add_pooling(layer, "AVE", windows)
    rows, columns = (direction.factors() for direction in windows)
    if (rows == 1).all() and (columns == 1).all():
        return blob
    factors = np.outer(rows, columns)
    return add_factors(layer, blob, np.broadcast_to(factors, layer.output_sizes))


@dataclass(frozen=True)
class Windows:
    """Caffe's windows in one direction. `place` are the wanted ones among `count`."""

    extent: int
    size: int
    stride: int
    pad: int
    place: range
    count: int

    @property
    def is_ambiguous(self) -> bool:
        """Whether the last one begins behind the input, without padding to be counted from."""
        return not self.pad and (self.count - 1) * self.stride >= self.extent

    def factors(self) -> Array:
        """What the wanted means are multiplied by so that padding does not count."""
        begins = np.asarray(self.place) * self.stride - self.pad
        ends = np.minimum(begins + self.size, self.extent + self.pad)
        counted = np.minimum(ends, self.extent) - np.maximum(begins, 0)
        return np.asarray((ends - begins) / counted, np.float32)


def _windows(layer: Conversion) -> list[Windows]:
    """In both directions, those of Caffe that begin at the right pixels."""
    plugin, area, wanted = layer.plugin, layer.sizes()[1:], layer.output_sizes[1:]
    if len(area) != 2:
        raise NotExportableError(f"Caffe's pooling has 2 dimensions, not {len(area)}")
    begins = plugin.padding[:2] or (0, 0)
    windows = zip(area, wanted, plugin.kernel, plugin.strides or (1, 1), begins, strict=True)
    fitted = [_fitted(*direction) for direction in windows]
    if any(direction.pad for direction in fitted) and any(d.is_ambiguous for d in fitted):
        # Caffe looks at the padding of both directions there, OpenCV at that of the one.
        raise NotExportableError("Caffe and OpenCV would count its windows differently")
    return fitted


def _fitted(extent: int, wanted: int, size: int, stride: int, begin: int) -> Windows:
    # A window that reaches beyond all padding is all the same; OpenCV takes none.
    size = min(size, extent + 2 * begin)
    pad, before = begin, 0
    while (count := _caffe_windows(extent, size, stride, pad)) - before < wanted:
        pad, before = pad + stride, before + 1
    if pad >= size:
        raise NotExportableError(f"Caffe cannot pad {pad} pixels for windows of {size}")
    return Windows(extent, size, stride, pad, range(before, before + wanted), count)


def _caffe_windows(extent: int, size: int, stride: int, pad: int) -> int:
    """Rounded up, less one that would begin in the padding behind."""
    count = -(-(extent + 2 * pad - size) // stride) + 1
    return count - 1 if pad and (count - 1) * stride >= extent + pad else count


def _add_pooling(layer: Conversion, kind: str, windows: list[Windows]) -> str:
    down, across = windows
    parameters: dict[str, Any] = {"pool": kind}
    for both, prefix, values in (
        ("kernel_size", "kernel", (down.size, across.size)),
        ("stride", "stride", (down.stride, across.stride)),
        ("pad", "pad", (down.pad, across.pad)),
    ):
        # As for convolutions, but the common value is one number.
        fields = sides(both, prefix, *values)
        parameters |= {both: values[0]} if both in fields else fields
    blob = layer.add("Pooling", layer.blobs(), "pooling", **parameters)
    for axis, direction in enumerate(windows, start=2):
        blob = layer.add_slice(blob, f"wanted{axis}", axis, direction.count, direction.place)
    if any(direction.count > len(direction.place) for direction in windows):
        # A blob of its own, so that a layer bears the name: Slice has several blobs.
        return layer.add("Concat", [blob], "concatenation", axis=1)
    return blob
