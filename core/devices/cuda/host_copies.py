"""Copies within the host's memory, by several threads where they are large.

One thread reads and writes some 10 GB/s, which for a batch of pictures takes longer than a GPU
computes; four come near to what the memory gives.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from ....plugins import Array

LARGE = 2 << 20
"""Bytes from which threads are worth their start."""

MOST_THREADS = 4


def copy_bytes(target: Array, source: Array) -> None:
    """Copy a uint8 vector into another one of its size. NumPy holds no lock meanwhile."""
    helpers = _helpers() if target.nbytes >= LARGE else None
    if helpers is None:
        target[...] = source
        return
    count = _threads()
    step = -(-target.nbytes // count)
    parts = [slice(start, start + step) for start in range(0, target.nbytes, step)]
    pending = [helpers.submit(_copy_part, target, source, part) for part in parts[1:]]
    _copy_part(target, source, parts[0])
    for part in pending:
        part.result()


def _copy_part(target: Array, source: Array, part: slice) -> None:
    target[part] = source[part]


@cache
def _threads() -> int:
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


@cache
def _helpers() -> ThreadPoolExecutor | None:
    """The process's threads for this; None where there is one processor."""
    others = _threads() - 1
    return ThreadPoolExecutor(others, thread_name_prefix="plugrt-copy") if others else None
