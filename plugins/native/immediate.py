"""Running one kernel now, without a recording: packing of weights, and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data_types import DataType
from ..errors import DeviceError, ShapeError
from ..tensor import ALIGNMENT, Array, TensorDesc
from ._extension import MESSAGE_CAPACITY, ffi, lib, require_extension, text_of


def run_kernel(
    address: int, arguments: bytes, slots: Sequence[Array], thread_count: int = 1
) -> None:
    """Call a kernel of the ABI in plugrt_kernel.h with `slots` as its buffers.

    `arguments` is the block that `Stream.launch_raw` would take. Blocks until the kernel is
    done. Raises DeviceError with the kernel's message when it fails.
    """
    require_extension()
    addresses = ffi.new("void *[]", [ffi.cast("void *", array.ctypes.data) for array in slots])
    message = ffi.new("char[]", MESSAGE_CAPACITY)
    block = aligned_empty(len(arguments))
    block[:] = np.frombuffer(arguments, np.uint8)
    status = lib.plugrt_run_kernel(
        address,
        ffi.cast("void *", block.ctypes.data),
        addresses,
        len(slots),
        thread_count,
        message,
        MESSAGE_CAPACITY,
    )
    if status:
        raise DeviceError(f"kernel failed with status {status}: {text_of(message) or 'no message'}")


def aligned_empty(nbytes: int) -> Array:
    """An uninitialised uint8 buffer that begins at a multiple of 64."""
    return _aligned_part(np.empty(nbytes + ALIGNMENT, np.uint8), nbytes)


def aligned_zeros(nbytes: int) -> Array:
    """The same, of zeros, which take memory where they are first written."""
    return _aligned_part(np.zeros(nbytes + ALIGNMENT, np.uint8), nbytes)


def _aligned_part(raw: Array, nbytes: int) -> Array:
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


def desc_of(array: Array) -> TensorDesc:
    """The description of an array. Raises ShapeError for strides that cut elements."""
    dtype = DataType.of(array.dtype)
    if any(stride % dtype.itemsize for stride in array.strides):
        raise ShapeError(f"strides {array.strides} are no multiples of {dtype.itemsize} bytes")
    strides = tuple(stride // dtype.itemsize for stride in array.strides)
    return TensorDesc(dtype, array.shape, strides=strides)
