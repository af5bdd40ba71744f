"""Recordings of the CUDA device: graphs per set of addresses."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ....plugins import DeviceError, Recording
from ....plugins.native.cuda import Context
from ..recorder import BodyRecorder
from .events import DeviceStream, Event
from .faults import Faults
from .graphs import Graph
from .host_steps import HostStep
from .slots import CudaSlots
from .stream import CudaStream, Step

MAXIMUM_INSTANCES = 8
"""Sets of addresses whose graphs are kept; others replace the least recently used."""

_CAPTURING = threading.RLock()
"""Libraries have one handle per GPU, which is told the stream that it shall use."""


@dataclass
class Instance:
    """What was captured for one set of addresses."""

    steps: list[Step]
    layer_names: list[str]
    owners: list[int]
    marks: list[tuple[int, Event]]

    @property
    def nodes(self) -> int:
        """Graph nodes, host callbacks included."""
        return sum(step.nodes if isinstance(step, Graph) else 1 for step in self.steps)

    @property
    def edges(self) -> int:
        """Edges of all graphs: a line of n nodes has n - 1."""
        return sum(step.edges for step in self.steps if isinstance(step, Graph))


class CudaRecording(Recording):
    """Layers that can be replayed on a GPU; one call at a time.

    `record` puts all layers on a stream. It is called for each new set of addresses, since a
    graph contains them: keep buffers where they are, and only the first call records.
    """

    def __init__(
        self, context: Context, slots: CudaSlots, record: Callable[[CudaStream], None],
        *, stream: DeviceStream | None = None, record_body: BodyRecorder | None = None,
        maximum_instances: int = MAXIMUM_INSTANCES, faults: Faults | None = None,
    ) -> None:  # fmt: skip
        self.context = context
        self.slots = slots
        self.stream = stream or DeviceStream(context)
        self.record = record
        """Puts all layers on a stream."""
        self._record_body = record_body
        self._faults = faults or Faults(context)
        self._maximum = maximum_instances
        self._instances: OrderedDict[tuple[int, ...], Instance] = OrderedDict()
        self._present: Instance | None = None
        # Given to the finaliser, these outlive the recording until its work is done.
        kept = (slots, self._instances, self._faults)
        weakref.finalize(self, _settle, self.stream, *kept).atexit = False

    def bind(self, slot: int, address: int) -> None:
        """Point a slot at another buffer."""
        if self.slots.addresses[slot] != address:
            self.slots.addresses[slot] = address
            self._present = None

    def replay(self, slots: Sequence[int] = ()) -> None:
        """Put one run on `stream`; `slots`, when given, are the addresses of every reserved
        slot. Returns before the GPU is done unless there are host callbacks.

        Raises DeviceError naming the layer where recording or a host callback fails.
        """
        for slot, address in zip(self.slots.reserved, slots, strict=False):
            self.bind(slot, address)
        self.run(self.instance())

    def run(self, instance: Instance) -> None:
        """Put one run of what was captured on `stream`."""
        with self.context.current():
            for step in instance.steps:
                if isinstance(step, Graph):
                    step.launch(self.stream)
                else:
                    self._run_on_host(step, instance)

    def synchronize(self) -> None:
        """Wait for all replays. Raises DeviceError when a kernel failed."""
        self.stream.synchronize()
        self._faults.check()

    def instance(self) -> Instance:
        """What is captured for the present addresses."""
        if self._present is None:
            key = tuple(self.slots.addresses[slot] for slot in self.slots.reserved)
            found = self._instances.get(key)
            if found is None:
                found = self._instances[key] = self.capture()
                if len(self._instances) > self._maximum:
                    self.stream.synchronize()  # its graphs may be running
                    self._instances.popitem(last=False)
            else:
                self._instances.move_to_end(key)
            self._present = found
        return self._present

    def capture(
        self, timed: bool = False, record: Callable[[CudaStream], None] | None = None
    ) -> Instance:
        """Capture once more; with `timed` there are marks between the layers."""
        stream = CudaStream(
            self.context, self.stream, self.slots, self._faults, self._record_body, timed
        )
        lending = self.slots.weights.loan.in_use()
        with _CAPTURING, self.context.current(), lending:
            try:
                stream.begin()
                (record or self.record)(stream)
                steps = stream.finish()
            except BaseException:
                stream.abort()
                raise
        return Instance(steps, stream.layer_names, stream.owners, stream.marks)

    def replay_timed(self) -> list[tuple[int, float]]:
        """Run once; the number of each layer, and its seconds on the GPU, with those of the host
        where it calls back. Events between layers add about a microsecond to each."""
        instance = self.capture(timed=True)
        for _ in range(2):  # the first launch of a graph takes longer
            self.run(instance)
            self.synchronize()
        pairs = zip(instance.marks, instance.marks[1:], strict=False)
        return [
            (layer, after.seconds_since(before)) for (layer, before), (_, after) in pairs
            if layer >= 0
        ]  # fmt: skip

    @property
    def command_count(self) -> int:
        return 0 if self._present is None else self._present.nodes

    def _run_on_host(self, step: HostStep, instance: Instance) -> None:
        try:
            step.run(self.stream)
        except Exception as cause:
            name = instance.layer_names[step.layer] if step.layer >= 0 else "?"
            if isinstance(cause, DeviceError) and str(cause).startswith(f"layer '{name}"):
                raise  # its kernels for the CPU have said so
            raise DeviceError(
                f"layer {name!r} failed: {type(cause).__name__}: {cause}"
            ) from cause


def _settle(stream: DeviceStream, *users: object) -> None:
    with suppress(DeviceError):  # whoever waited for the recording was told
        stream.synchronize()
