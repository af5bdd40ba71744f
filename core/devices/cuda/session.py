"""A GPU at work for one engine."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from ....plugins import DeviceSession, PlugrtError
from ....plugins.native.cuda import Context
from ...runtime.planned import PlannedNetwork
from .context import CudaContext
from .memory import DeviceMemory
from .weights import DeviceWeights


class CudaSession(DeviceSession):
    """Constants and packed weights on one GPU, for several contexts with a stream each."""

    device = "cuda"

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        context = Context.of(ordinal)
        self._weights = DeviceWeights(context)
        self._trim = weakref.finalize(self, _trim, context)
        self._trim.atexit = False

    @property
    def packed_bytes(self) -> int:
        return self._weights.nbytes + self._weights.host.nbytes

    def create_context(
        self, planned: PlannedNetwork, threads: int, *, processors: Sequence[int] | None = None,
        spin_seconds: float = 0.0, **options: Any,
    ) -> CudaContext:  # fmt: skip
        if processors is not None or spin_seconds:
            name = "processors" if processors is not None else "spin_seconds"
            raise PlugrtError(
                f"{name} is for engines on the CPU; this one runs on device 'cuda': leave it out"
            )
        self._weights.host_threads = threads
        return CudaContext(planned, self._weights, threads, **options)

    def close(self) -> None:
        self._weights.clear()
        self._trim()  # nothing while the interpreter ends


def _trim(context: Context) -> None:
    DeviceMemory.of(context).trim(context)
