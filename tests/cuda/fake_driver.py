# ruff: noqa: N802 - the driver's names
"""A driver without a GPU: memory of the host, streams that run at once, graphs in any order that
their edges allow.

Whatever is used after it was given back, or is never given back, is found.
"""

from __future__ import annotations

import ctypes
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

ENUMS = (
    "CUdevice_attribute", "CUstream_flags", "CUevent_flags", "CUevent_record_flags",
    "CUmemAllocationType", "CUmemLocationType", "CUmemPool_attribute", "CUstreamCaptureMode",
    "CUstreamUpdateCaptureDependencies_flags",
    "CUpointer_attribute",
)  # fmt: skip


INVALID_VALUE, OUT_OF_MEMORY = 1, 2
"""The driver's numbers for them."""


class Anything:
    """An enumeration whose members are all 1."""

    def __getattr__(self, name: str) -> int:
        return 1


class Handle(int):
    """A number of the driver's."""


@dataclass
class FakeGraph:
    """Work by node, and what each node depends on; while it is captured, the stream's end."""

    work: dict[int, Callable[[], None]] = field(default_factory=dict)
    dependencies: dict[int, list[int]] = field(default_factory=dict)
    end: list[int] = field(default_factory=list)

    def add(self, work: Callable[[], None]) -> None:
        node = len(self.work) + 1
        self.work[node], self.dependencies[node], self.end = work, self.end, [node]

    @property
    def edges(self) -> list[tuple[int, int]]:
        return [(a, b) for b, found in self.dependencies.items() for a in found]

    def run(self, dice: random.Random) -> None:
        done: set[int] = set()
        while len(done) < len(self.work):
            ready = [
                node for node in self.work
                if node not in done and done.issuperset(self.dependencies[node])
            ]  # fmt: skip
            chosen = dice.choice(ready)
            self.work[chosen]()
            done.add(chosen)


class FakeDriver:
    """Stands in for `cuda.bindings.driver`. `living` holds (kind, number) of what exists."""

    CU_MEMHOSTALLOC_PORTABLE = 1

    def __init__(self) -> None:
        self.living: set[tuple[str, int]] = set()
        self.devices = 1
        self._current = threading.local()
        self._primary: dict[int, int] = {}
        """Contexts by device."""
        self._owners: dict[tuple[str, int], int] = {}
        """The context that something was made in."""
        self.captures: dict[int, FakeGraph] = {}
        self.graphs: dict[int, FakeGraph] = {}
        self.dice = random.Random(0)
        """Which of the nodes that may run comes first."""
        self.memory: dict[int, Any] = {}
        self.faults: list[str] = []
        """Misuse, also where an exception would go unseen, as in finalisers."""
        self.order: list[str] = []
        """What was given back and waited for, in order."""
        self.c_functions: list[Any] = []
        self.capacity = 1 << 30
        """Bytes of the GPU, and of what the host can pin."""
        self._numbers = iter(range(1000, 1 << 30))

    def __getattr__(self, name: str) -> Any:
        if name in ENUMS:
            return Anything()
        raise AttributeError(name)

    @property
    def contexts(self) -> list[int]:
        """Those of the calling thread, the current one last."""
        stack: list[int] = self._current.__dict__.setdefault("contexts", [])
        return stack

    # ---- bookkeeping ----------------------------------------------------------------------

    def make(self, kind: str, number: int | None = None) -> tuple[int, Handle]:
        assert self.contexts or kind in ("context", "pool"), f"no context for a new {kind}"
        handle = Handle(next(self._numbers) if number is None else number)
        self.living.add((kind, handle))
        if self.contexts:
            self._owners[kind, handle] = self.contexts[-1]
        return 0, handle

    def alive(self, kind: str, number: int) -> None:
        if (kind, int(number)) not in self.living:
            self.faults.append(f"a {kind} is used, and is gone")
            raise AssertionError(self.faults[-1])

    def destroy(self, kind: str, number: int) -> tuple[int]:
        self.alive(kind, number)
        if not (self.contexts or kind in ("context", "pool", "graph")):
            self.faults.append(f"a {kind} is destroyed in no context")
        self.living.remove((kind, int(number)))
        self.order.append(f"destroy {kind}")
        return (0,)

    def put(self, stream: int, work: Callable[[], None]) -> tuple[int]:
        self.alive("stream", stream)
        if self.contexts and self._owners["stream", int(stream)] != self.contexts[-1]:
            self.faults.append("a stream of another GPU is used")
        if int(stream) in self.captures:
            self.captures[int(stream)].add(work)
        else:
            work()
        return (0,)

    def address_of(self, name: str) -> int:
        """Of a C function that does the same as ours."""
        number, pointer = ctypes.c_int, ctypes.c_void_p

        def send(target: int, source: int, nbytes: int, stream: int) -> int:
            if not self.contexts:
                self.faults.append("a copy is put on a stream in no context")
            return self.cuMemcpyHtoDAsync(target, source, nbytes, stream)[0]

        def wait(event: int) -> int:
            return self.cuEventSynchronize(event)[0]

        made: Any = {
            "cuMemcpyHtoDAsync_v2": lambda: ctypes.CFUNCTYPE(
                number, ctypes.c_uint64, pointer, ctypes.c_size_t, pointer
            )(send),
            "cuEventSynchronize": lambda: ctypes.CFUNCTYPE(number, pointer)(wait),
        }[name]()
        self.c_functions.append(made)
        return ctypes.cast(made, pointer).value or 0

    # ---- devices and contexts -------------------------------------------------------------

    def CUresult(self, number: int) -> int:
        return number

    def cuGetErrorName(self, number: int) -> tuple[int, bytes]:
        known = number == OUT_OF_MEMORY
        return 0, b"CUDA_ERROR_OUT_OF_MEMORY" if known else f"FAKE_ERROR_{number}".encode()

    def cuGetErrorString(self, number: int) -> tuple[int, bytes]:
        return 0, b"played"

    def cuInit(self, flags: int) -> tuple[int]:
        return (0,)

    def cuDriverGetVersion(self) -> tuple[int, int]:
        return 0, 13000

    def cuDeviceGetCount(self) -> tuple[int, int]:
        return 0, self.devices

    def cuDeviceGet(self, ordinal: int) -> tuple[int, int]:
        return 0, ordinal

    def cuDeviceGetName(self, size: int, device: int) -> tuple[int, bytes]:
        return 0, b"Fake\0"

    def cuDeviceGetUuid(self, device: int) -> tuple[int, Any]:
        return 0, SimpleNamespace(bytes=bytes(16))

    def cuDeviceTotalMem(self, device: int) -> tuple[int, int]:
        return 0, 1 << 30

    def cuDeviceGetAttribute(self, name: int, device: int) -> tuple[int, int]:
        return 0, 9

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[int, Handle]:
        status, handle = self.make("context")
        self._primary[int(device)] = handle
        return status, handle

    def cuDevicePrimaryCtxRelease(self, device: int) -> tuple[int]:
        return self.destroy("context", self._primary.pop(int(device)))

    def cuCtxPushCurrent(self, context: int) -> tuple[int]:
        self.alive("context", context)
        self.contexts.append(int(context))
        return (0,)

    def cuCtxPopCurrent(self) -> tuple[int, int]:
        return 0, self.contexts.pop()

    # ---- streams and events ---------------------------------------------------------------

    def cuStreamCreate(self, flags: int) -> tuple[int, Handle]:
        return self.make("stream")

    def cuStreamDestroy(self, stream: int) -> tuple[int]:
        return self.destroy("stream", stream)

    def cuStreamSynchronize(self, stream: int) -> tuple[int]:
        self.alive("stream", stream)
        self.order.append("synchronize")
        return (0,)

    def cuStreamWaitEvent(self, stream: int, event: int, flags: int) -> tuple[int]:
        self.alive("event", event)
        self.alive("stream", stream)
        return (0,)

    def cuEventCreate(self, flags: int) -> tuple[int, Handle]:
        return self.make("event")

    def cuEventDestroy(self, event: int) -> tuple[int]:
        return self.destroy("event", event)

    def cuEventRecord(self, event: int, stream: int) -> tuple[int]:
        self.alive("event", event)
        return self.put(stream, lambda: None)

    def cuEventRecordWithFlags(self, event: int, stream: int, flags: int) -> tuple[int]:
        return self.cuEventRecord(event, stream)

    def cuEventSynchronize(self, event: int) -> tuple[int]:
        self.alive("event", event)
        return (0,)

    def cuEventQuery(self, event: int) -> tuple[int]:
        return self.cuEventSynchronize(event)

    def cuEventElapsedTime(self, before: int, after: int) -> tuple[int, float]:
        self.alive("event", before)
        self.alive("event", after)
        return 0, 0.5

    # ---- memory ---------------------------------------------------------------------------

    def CUmemPoolProps(self) -> Any:
        return SimpleNamespace(allocType=0, location=SimpleNamespace(type=0, id=0))

    def cuuint64_t(self, value: int) -> int:
        return value

    def cuMemPoolCreate(self, properties: Any) -> tuple[int, Handle]:
        return self.make("pool")

    def cuMemPoolSetAttribute(self, pool: int, name: int, value: int) -> tuple[int]:
        self.alive("pool", pool)
        return (0,)

    def cuMemPoolDestroy(self, pool: int) -> tuple[int]:
        return self.destroy("pool", pool)

    def cuMemPoolTrimTo(self, pool: int, size: int) -> tuple[int]:
        self.alive("pool", pool)
        return (0,)

    def held(self, wanted: str) -> int:
        """Bytes of one kind of memory in use."""
        return sum(len(self.memory[start]) for kind, start in list(self.living) if kind == wanted)

    def cuMemGetInfo(self) -> tuple[int, int, int]:
        return 0, self.capacity - self.held("memory"), self.capacity

    def _allocate(self, kind: str, size: int) -> tuple[int, Handle | None]:
        if self.held(kind) + size > self.capacity:
            return OUT_OF_MEMORY, None
        block = np.full(size, 0xEE, np.uint8)
        self.memory[block.ctypes.data] = block
        return self.make(kind, block.ctypes.data)

    def cuMemAllocFromPoolAsync(
        self, size: int, pool: int, stream: int
    ) -> tuple[int, Handle | None]:
        self.alive("pool", pool)
        self.alive("stream", stream)
        return self._allocate("memory", size)

    def cuMemFreeAsync(self, address: int, stream: int) -> tuple[int]:
        self.alive("stream", stream)
        return self.destroy("memory", address)

    def cuMemHostAlloc(self, size: int, flags: int) -> tuple[int, Handle | None]:
        return self._allocate("pinned", size)

    def cuPointerGetAttribute(self, name: int, address: int) -> tuple[int, int]:
        for kind, start in list(self.living):
            if kind == "pinned" and start <= address < start + len(self.memory[start]):
                return 0, 1
        return 1, 0

    def cuMemFreeHost(self, address: int) -> tuple[int]:
        return self.destroy("pinned", address)

    def _copy(self, target: int, source: int, size: int, stream: int) -> tuple[int]:
        return self.put(stream, lambda: ctypes.memmove(int(target), int(source), size) and None)

    cuMemcpyHtoDAsync = cuMemcpyDtoHAsync = cuMemcpyDtoDAsync = _copy  # noqa: N815

    def cuMemsetD8Async(self, target: int, byte: int, size: int, stream: int) -> tuple[int]:
        return self.put(stream, lambda: ctypes.memset(int(target), byte, size) and None)

    def cuMemsetD32Async(self, target: int, value: int, count: int, stream: int) -> tuple[int]:
        return self.cuMemsetD8Async(target, value & 0xFF, 4 * count, stream)

    # ---- graphs ---------------------------------------------------------------------------

    def cuStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:
        self.alive("stream", stream)
        assert int(stream) not in self.captures
        self.captures[int(stream)] = FakeGraph()
        return (0,)

    def cuStreamGetCaptureInfo(self, stream: int) -> tuple[int, int, int, int, list[int], int]:
        end = self.captures[int(stream)].end
        return 0, 1, 1, 0, list(end), len(end)

    def cuStreamUpdateCaptureDependencies(
        self, stream: int, nodes: Sequence[int], count: int, flags: int
    ) -> tuple[int]:
        assert count == len(nodes)
        assert set(nodes) <= set(self.captures[int(stream)].work)
        self.captures[int(stream)].end = list(nodes)
        return (0,)

    def cuGraphAddNode(self) -> tuple[int]:
        return (1,)

    def cuStreamEndCapture(self, stream: int) -> tuple[int, Handle | None]:
        if int(stream) not in self.captures:
            return INVALID_VALUE, None
        status, graph = self.make("graph")
        self.graphs[graph] = self.captures.pop(int(stream))
        return status, graph

    def cuGraphGetNodes(self, graph: int, size: int) -> tuple[int, None, int]:
        self.alive("graph", graph)
        return 0, None, len(self.graphs[int(graph)].work)

    def cuGraphGetEdges(self, graph: int, size: int) -> tuple[int, None, None, int]:
        self.alive("graph", graph)
        return 0, None, None, len(self.graphs[int(graph)].edges)

    def cuGraphInstantiate(self, graph: int, flags: int) -> tuple[int, Handle]:
        self.alive("graph", graph)
        status, executable = self.make("executable")
        self.graphs[executable] = self.graphs[int(graph)]
        return status, executable

    def cuGraphDestroy(self, graph: int) -> tuple[int]:
        return self.destroy("graph", graph)

    def cuGraphExecDestroy(self, executable: int) -> tuple[int]:
        return self.destroy("executable", executable)

    def cuGraphLaunch(self, executable: int, stream: int) -> tuple[int]:
        self.alive("executable", executable)
        self.alive("stream", stream)
        self.graphs[int(executable)].run(self.dice)
        return (0,)
