"""How long a recording takes on the GPU, without the host's share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from ....plugins.native.cuda.driver_calls import call
from .events import Event
from .graphs import Graph
from .memory import DeviceBuffer
from .recording import CudaRecording, Instance
from .stream import CudaStream

WARM_UP_SECONDS = 0.005
"""Long enough for the GPU to raise its clock."""

STILL_WARM_SECONDS = 0.05
"""So long at least it keeps it afterwards."""

FIRST_GRAPH, LONGEST_GRAPH = 4, 32
SAMPLE_SECONDS = 0.0003
"""About what one sample should take, so that events' resolution and the first launch do not
matter. Making a graph takes a host longer than running it."""


NODE_SECONDS = 1.5e-6
"""What the least node of a graph takes. Wiping is timed in front of one, as it ends beside the
start of what follows."""

LEAST_SECONDS = 1e-7
"""Differences of long times may be less, or below 0."""


class Stopwatch:
    """Times a recording at its present addresses: many runs in one graph, between two events.

    Called, it gives one sample; the first one `gradual` takes of few runs, which tells whether more
    are worth while. With `cold` the second-level cache is overwritten before each run, then what
    `near` names (address, bytes) is read, and the time of both taken away: so weights of a large
    network come from memory, and activations from the cache. Recordings with host callbacks are
    timed whole. `owner` is kept alive: what has the memory at those addresses.
    """

    _warm_until = 0.0

    def __init__(
        self, recording: CudaRecording, cold: bool = False, gradual: bool = False,
        near: Sequence[tuple[int, int]] = (), owner: object = None,
    ) -> None:  # fmt: skip
        self._recording = recording
        self._owner = owner
        self._events = [Event(recording.context, timing=True) for _ in range(2)]
        self._wiper: DeviceBuffer | None = None
        if cold:
            size = recording.context.properties.l2_bytes
            self._wiper = DeviceBuffer(recording.context, 2 * size)
            # What fills half of the cache is gone when a network comes to read it.
            self._near = [(place, count) for place, count in near if count <= size // 2]
        self.repeats = 0
        self._set(FIRST_GRAPH if gradual else 1)
        on_host = any(not isinstance(step, Graph) for step in self._many.steps)
        if on_host:
            self._set(1)
        self._warm_up(self._many)
        once = self._run(self._many) / self.repeats
        most = 1 if on_host else LONGEST_GRAPH
        self._most = max(self.repeats, min(most, int(SAMPLE_SECONDS / max(once, 1e-6))))
        self._is_first = gradual
        if not gradual:
            self._set(self._most)

    def __call__(self, samples: int = 1) -> float:
        """Seconds of one run: the median of so many samples."""
        return median(self._sample() for _ in range(samples))

    seconds = __call__

    def _sample(self) -> float:
        if not self._is_first:
            self._set(self._most)
        self._is_first = False
        total = self._run(self._many)
        if self._idle is not None:
            total += self.repeats * NODE_SECONDS - self._run(self._idle)
        return max(total / self.repeats, LEAST_SECONDS)

    def _set(self, repeats: int) -> None:
        """How many runs are a sample."""
        if repeats == self.repeats:
            return
        self.repeats = repeats
        self._many = self._repeated(repeats)
        self._idle = None if self._wiper is None else self._repeated(repeats, idle=True)

    def _repeated(self, count: int, idle: bool = False) -> Instance:
        record = self._recording.record

        def many(stream: CudaStream) -> None:
            for _ in range(count):
                self._wipe(stream)
                if not idle:
                    record(stream)
                elif self._wiper is not None:
                    call("cuMemsetD32Async", self._wiper.address, 0, 1, stream.handle)

        return self._recording.capture(record=many)

    def _wipe(self, stream: CudaStream) -> None:
        if self._wiper is not None:
            wiper = self._wiper
            call("cuMemsetD32Async", wiper.address, 0, wiper.nbytes // 4, stream.handle)
            for place, count in self._near:
                call("cuMemcpyDtoDAsync", wiper.address, place, count, stream.handle)

    def _warm_up(self, instance: Instance) -> None:
        now = time.perf_counter()
        end = now + (0.0 if now < Stopwatch._warm_until else WARM_UP_SECONDS)
        while True:  # once at least: the first launch of a graph takes longer
            self._recording.run(instance)
            self._recording.synchronize()
            if time.perf_counter() >= end:
                break
        Stopwatch._warm_until = time.perf_counter() + STILL_WARM_SECONDS

    def _run(self, instance: Instance) -> float:
        stream = self._recording.stream
        before, after = self._events
        with self._recording.context.current():
            before.record(stream)
            self._recording.run(instance)
            after.record(stream)
        after.synchronize()
        Stopwatch._warm_until = time.perf_counter() + STILL_WARM_SECONDS
        return after.seconds_since(before)
