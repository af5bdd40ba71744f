"""A GPU at work for one engine."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ....plugins import Array, DeviceSession, PlugrtError, TensorDesc
from ....plugins.dims import evaluate_shape, symbols
from ....plugins.native.cuda import Context
from ...runtime.planned import PlannedNetwork
from .context import CudaContext
from .lanes import runs_alone
from .memory import DeviceMemory
from .timing import Stopwatch
from .weights import DeviceWeights
from .whole_network import WholeNetwork


class CudaSession(DeviceSession):
    """Constants and packed weights on one GPU, for several contexts with a stream each."""

    device = "cuda"

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        context = Context.of(ordinal)
        self._weights = DeviceWeights(context)
        self._trim = weakref.finalize(self, DeviceMemory.trim_of, context)
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

    def compiled_code(
        self, planned: PlannedNetwork, threads: int, sizes: Mapping[str, int]
    ) -> Mapping[str, bytes]:
        code = self._weights.code
        if code.is_empty:  # nobody has run it yet
            with suppress(PlugrtError), self.create_context(planned, threads) as context:
                context.execute(_zeros(planned, sizes))
        with self._weights.loan.in_use():
            return code.entries(self.ordinal)

    def lend_code(self, code: Mapping[str, bytes]) -> None:
        self._weights.loan.add(code)

    def stopwatch(
        self, planned: PlannedNetwork, threads: int, sizes: Mapping[str, int], lanes: int,
        sample: Callable[[TensorDesc], Array],
    ) -> Stopwatch | None:  # fmt: skip
        if any(runs_alone(layer) for layer in planned.network.layers):
            return None  # what the host does between graphs is not timed well
        with self._weights.loan.in_use():
            whole = WholeNetwork(planned, self._weights, threads, sizes, lanes, sample)
        return whole.stopwatch() if whole.lanes == lanes else None

    def close(self) -> None:
        self._weights.loan.end()
        self._weights.clear()
        self._trim()  # nothing while the interpreter ends


def _zeros(planned: PlannedNetwork, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Inputs at these sizes; others are 1."""
    found = {}
    for tensor in planned.network.inputs:
        known = {name: sizes.get(name, 1) for name in symbols(tensor.shape)}
        found[tensor.name] = np.zeros(evaluate_shape(tensor.shape, known), tensor.dtype.numpy)
    return found
