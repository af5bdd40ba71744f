"""Addresses of arrays, and single values at addresses."""

from __future__ import annotations

from ....plugins import Array
from .extension import ffi


def address_of(array: Array) -> int:
    """The address of a C-contiguous array's first element; the caller keeps the array alive."""
    try:
        return int(ffi.cast("uintptr_t", ffi.from_buffer(array)))
    except (TypeError, ValueError, BufferError):  # NumPy exports no buffer of ml_dtypes' types
        return int(array.ctypes.data)


def read_int64(address: int) -> int:
    """The int64 scalar at an address of this process."""
    return int(ffi.cast("int64_t *", address)[0])
