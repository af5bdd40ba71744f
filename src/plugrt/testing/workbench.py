"""Where layers are recorded on their own: memory of the host, and what replays on a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from plugrt.core.devices.cpu import CpuStream, SlotTable
from plugrt.core.runtime.weight_store import PackedWeights, RecordingStore
from plugrt.plugins import Array, Stream


class Replayable(Protocol):
    """Runs what was recorded, on the memory that was bound."""

    def replay(self) -> None:
        """Run and wait. Raises DeviceError."""


class Workbench(ABC):
    """One recording: first memory is bound, then a layer is put on the stream."""

    @abstractmethod
    def bind(self, memory: Array) -> int:
        """The slot of memory on the host (uint8), which a replay reads and changes."""

    @abstractmethod
    def record(self, name: str, put: Callable[[Stream], None]) -> Replayable:
        """The recording of the layer `name`, which `put` puts on a stream."""


def missing(device: str) -> str | None:
    """Why nothing can run on a device, with what to do; None where it can."""
    if device != "cuda":
        return None
    from plugrt.plugins.native import cuda

    return cuda.unavailable_reason()


def workbench(device: str, threads: int, packed: PackedWeights | None = None) -> Workbench:
    """For one recording on a device; `packed` weights are shared where the device is the CPU.
    Raises DeviceError where the device is missing."""
    if device == "cuda":
        return CudaWorkbench()
    return CpuWorkbench(threads, packed or PackedWeights())


class CpuWorkbench(Workbench):
    """Records for a team of threads."""

    def __init__(self, threads: int, packed: PackedWeights) -> None:
        self._slots = SlotTable()
        self._threads = threads
        self._packed = packed

    def bind(self, memory: Array) -> int:
        return self._slots.bind(memory)

    def record(self, name: str, put: Callable[[Stream], None]) -> Replayable:
        store = RecordingStore(self._packed, self._slots)
        stream = CpuStream(self._slots, store, self._threads)
        stream.begin_layer(name)
        put(stream)
        return stream.finish()


class CudaWorkbench(Workbench):
    """Records on the first GPU; memory is copied there and back at every replay."""

    def __init__(self) -> None:
        from plugrt.core.devices.cuda import CudaSlots, DeviceWeights
        from plugrt.core.devices.cuda.memory import DeviceBuffer
        from plugrt.plugins.native.cuda import Context

        self._context = Context.of(0)
        self._slots = CudaSlots(DeviceWeights(self._context))
        self._bound: list[tuple[Array, DeviceBuffer]] = []

    def bind(self, memory: Array) -> int:
        from plugrt.core.devices.cuda.memory import DeviceBuffer

        buffer = DeviceBuffer(self._context, memory.nbytes)
        self._bound.append((memory, buffer))
        return self._slots.bind(buffer)

    def record(self, name: str, put: Callable[[Stream], None]) -> Replayable:
        from plugrt.core.devices.cuda import CudaRecording
        from plugrt.core.devices.cuda.stream import CudaStream

        def recorded(stream: CudaStream) -> None:
            stream.begin_layer(name)
            put(stream)

        recording = CudaRecording(self._context, self._slots, recorded)
        recording.instance()
        bound = self._bound

        class OnGpu:
            def replay(self) -> None:
                for memory, buffer in bound:
                    buffer.write(memory)
                recording.replay()
                recording.synchronize()
                for memory, buffer in bound:
                    memory[...] = buffer.read()

        return OnGpu()
