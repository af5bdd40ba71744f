"""How long a recording takes on the GPU, without the host's share."""

from __future__ import annotations

import time
from statistics import median

from ....plugins.native.cuda.driver_calls import call
from .events import Event
from .graphs import Graph
from .memory import DeviceBuffer
from .recording import CudaRecording, Instance
from .stream import CudaStream

WARM_UP_SECONDS = 0.005
"""Long enough for the GPU to raise its clock."""

LONGEST_GRAPH = 64
SAMPLE_SECONDS = 0.0005
"""About what one sample should take, so that events' resolution does not matter."""


class Stopwatch:
    """Times a recording at its present addresses: many runs in one graph, between two events.

    With `cold` the second-level cache is overwritten before each run, and the time of that
    taken away: weights of a large network come from memory, and activations too, which is
    slower than in a network. Recordings with host callbacks are timed whole.
    """

    def __init__(self, recording: CudaRecording, cold: bool = False) -> None:
        self._recording = recording
        self._events = [Event(recording.context, timing=True) for _ in range(2)]
        self._wiper: DeviceBuffer | None = None
        if cold:
            size = 2 * recording.context.properties.l2_bytes
            self._wiper = DeviceBuffer(recording.context, size)
        once = self._repeated(1)
        self._on_host = any(not isinstance(step, Graph) for step in once.steps)
        self._warm_up(once)
        first = self._run(once)
        self.repeats = max(1, min(LONGEST_GRAPH, int(SAMPLE_SECONDS / max(first, 1e-6))))
        if self._on_host:
            self.repeats = 1
        self._many = self._repeated(self.repeats) if self.repeats > 1 else once
        self._idle = self._repeated(self.repeats, idle=True) if cold else None

    def seconds(self, samples: int = 1) -> float:
        """Seconds of one run: the median of so many samples."""
        return median(self._sample() for _ in range(samples))

    __call__ = seconds

    def _sample(self) -> float:
        total = self._run(self._many)
        if self._idle is not None:
            total -= self._run(self._idle)
        return max(total, 0.0) / self.repeats

    def _repeated(self, count: int, idle: bool = False) -> Instance:
        record = self._recording.record

        def many(stream: CudaStream) -> None:
            for _ in range(count):
                self._wipe(stream)
                if not idle:
                    record(stream)

        return self._recording.capture(record=many)

    def _wipe(self, stream: CudaStream) -> None:
        if self._wiper is not None:
            wiper = self._wiper
            call("cuMemsetD32Async", wiper.address, 0, wiper.nbytes // 4, stream.handle)

    def _warm_up(self, instance: Instance) -> None:
        end = time.perf_counter() + WARM_UP_SECONDS
        while time.perf_counter() < end:
            self._recording.run(instance)
            self._recording.synchronize()

    def _run(self, instance: Instance) -> float:
        stream = self._recording.stream
        before, after = self._events
        with self._recording.context.current():
            before.record(stream)
            self._recording.run(instance)
            after.record(stream)
        after.synchronize()
        return after.seconds_since(before)
