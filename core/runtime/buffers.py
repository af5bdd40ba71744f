"""Aligned memory, and NumPy arrays in the memory formats of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...plugins import ALIGNMENT, BLOCK, Array, DeviceError, Format

PAGE = 4096


def allocate(nbytes: int, alignment: int = ALIGNMENT) -> Array:
    """An uninitialised uint8 buffer aligned as asked.

    Raises DeviceError with the bytes when memory is short.
    """
    try:
        raw = np.empty(nbytes + alignment, np.uint8)
    except (MemoryError, ValueError):
        raise DeviceError(
            f"cannot allocate {nbytes:,} bytes on the CPU; use a smaller batch or free memory"
        ) from None
    start = -raw.ctypes.data % alignment
    return raw[start : start + nbytes]


def aligned_copy(array: Array) -> Array:
    """A C-contiguous, aligned copy; the array itself when it is both already."""
    if array.flags.c_contiguous and array.ctypes.data % ALIGNMENT == 0:
        return array
    copy = allocate(array.nbytes)[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def to_memory(array: Array, layout: Format) -> Array:
    """A C-contiguous array with the elements of `array` in the order of `layout`."""
    if layout is Format.LINEAR:
        return aligned_copy(np.ascontiguousarray(array).reshape(array.shape))
    if layout is Format.CHANNELS_LAST:
        return aligned_copy(np.ascontiguousarray(np.moveaxis(array, 1, -1)))
    batch, channels, *spatial = array.shape
    blocked = array.reshape(batch, channels // BLOCK, BLOCK, *spatial)
    return aligned_copy(np.ascontiguousarray(np.moveaxis(blocked, 2, -1)))


def from_memory(memory: Array, shape: Sequence[int], layout: Format) -> Array:
    """The logical array in a flat or shaped buffer of `layout`; a view where possible."""
    if layout is Format.LINEAR:
        return memory.reshape(shape)
    batch, channels, *spatial = shape
    if layout is Format.CHANNELS_LAST:
        return np.moveaxis(memory.reshape(batch, *spatial, channels), -1, 1)
    blocked = memory.reshape(batch, channels // BLOCK, *spatial, BLOCK)
    return np.moveaxis(blocked, -1, 2).reshape(shape)
