"""Large arrays within the host's memory, in chunks, by a team of threads.

One thread reads and writes some 12 GB/s, which for a batch of pictures takes longer than a GPU
computes; a few come near to what the memory gives. A chunk's transfer begins as soon as the chunk
is there. Python's threads would have to take turns for each of them, so the team is in C.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import cast

from ....plugins import Array
from ....plugins.native.cuda.packages import function_address
from ..._runtime import ffi, lib

LEAST_CHUNK, MOST_CHUNK = 128 << 10, 1 << 20
"""Bytes. Small chunks begin early; a large one's transfer takes many times as long as its start."""

CHUNKS = 8
"""As many there are at least, unless they would be too small."""

MOST_THREADS = 6

BYTES_PER_THREAD = 256 << 10
"""From which one more thread is worth its start."""


def send_chunks(source: Array, staged: Array, target: int, stream: int) -> int:
    """Copy a vector of bytes into pinned memory, and put its transfer to `target` on a stream;
    the context is current. Returns the driver's status."""
    return cast(int, lib.plugrt_send_chunks(
        ffi.from_buffer(source), ffi.from_buffer(staged), target, source.nbytes,
        chunk_for(source.nbytes), threads_for(source.nbytes), _function("cuMemcpyHtoDAsync_v2"),
        ffi.cast("void *", stream),
    ))  # fmt: skip


def receive_chunks(target: Array, staged: Array, chunk: int, events: Sequence[int]) -> int:
    """Copy a vector of bytes out of pinned memory, each chunk once its event is reached. Returns
    the driver's status."""
    handles = ffi.new("void *[]", [ffi.cast("void *", event) for event in events])
    return cast(int, lib.plugrt_receive_chunks(
        ffi.from_buffer(target), ffi.from_buffer(staged), target.nbytes, chunk,
        threads_for(target.nbytes), _function("cuEventSynchronize"), handles,
    ))  # fmt: skip


def chunk_for(nbytes: int) -> int:
    """Bytes of each chunk of so many."""
    return max(LEAST_CHUNK, min(nbytes // CHUNKS, MOST_CHUNK) & -4096)


def threads_for(nbytes: int) -> int:
    """The size of the team that copies so many bytes."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)), nbytes // BYTES_PER_THREAD))


@cache
def _function(name: str) -> object:
    return ffi.cast("void *", function_address(name))
