"""Where and how awake a context's threads are: processors of their own, and spinning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from typing import Any

from ....plugins import DeviceError, PlugrtError
from .extension import ffi, lib, require_runtime, thread_services

_numbers = count(1)


def release_team() -> None:
    """End the calling thread's OpenMP workers, which it needs no more for a while.

    libgomp counts those of all threads: beyond the processors' number none spins any longer.
    So whoever has only built or recorded here must not slow down who runs elsewhere.
    """
    require_runtime()
    lib.plugrt_release_team(thread_services())


class Affinity:
    """Thread k of a team runs on processor k of `processors`, from the first again when they
    are fewer. Raises PlugrtError for processors that this process may not use."""

    def __init__(self, processors: Sequence[int]) -> None:
        require_runtime()
        allowed = os.sched_getaffinity(0)
        foreign = [number for number in processors if number not in allowed]
        if foreign or not processors:
            known = ", ".join(map(str, sorted(allowed)))
            found = f"processor {foreign[0]}" if foreign else "processors=()"
            raise PlugrtError(f"{found} is not possible; this process may use: {known}")
        self.processors = tuple(processors)
        self._numbers = ffi.new("int32_t[]", list(processors))
        self.handle = ffi.new("plugrt_affinity *")
        self.handle.processors = self._numbers
        self.handle.count = len(processors)
        self.handle.id = next(_numbers)


class Runner:
    """A thread that replays for a context, and after each call keeps its team awake for
    `spin_seconds`: a call within that time finds all threads running. It takes their
    processors from others meanwhile."""

    def __init__(self, threads: int, spin_seconds: float) -> None:
        require_runtime()
        self.handle: Any = lib.plugrt_runner_create(threads, spin_seconds)
        if not self.handle:
            raise DeviceError("no thread can be started for a context that spins; end others first")

    def close(self) -> None:
        """End the thread."""
        if self.handle is not None:
            lib.plugrt_runner_destroy(self.handle)
            self.handle = None

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.close()
