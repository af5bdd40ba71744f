"""CRC-32 sums of many ranges of memory in one call, without the interpreter's lock."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from ....plugins import Array
from .extension import ffi, lib

HAS_CHECKSUMS = lib is not None and bool(lib.plugrt_has_checksums())


def checksums(
    memory: Array, starts: Array, lengths: Array, *, release: bool = False
) -> Array:
    """The CRC-32 (as gzip's) of each range of `memory`, a C-contiguous array of bytes.

    `starts` and `lengths` are uint64 arrays of one size. `release` gives back the pages of a
    file mapping as they are read; ranges then ascend. Raises ValueError for ranges outside.
    """
    starts, lengths = (np.ascontiguousarray(a, np.uint64) for a in (starts, lengths))
    room = np.uint64(memory.nbytes)
    if (starts > room).any() or (lengths > room - np.minimum(starts, room)).any():
        raise ValueError(f"ranges leave the memory of {memory.nbytes} bytes")
    sums = np.empty(starts.size, np.uint32)
    if not HAS_CHECKSUMS:
        for k, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            sums[k] = crc32(memory[int(start) : int(start + length)].data)
        return sums
    lib.plugrt_checksums(
        ffi.cast("char *", memory.ctypes.data),
        ffi.cast("uint64_t *", starts.ctypes.data), ffi.cast("uint64_t *", lengths.ctypes.data),
        starts.size, int(release), ffi.cast("uint32_t *", sums.ctypes.data),
    )  # fmt: skip
    return sums
