"""Execution contexts: an engine at work for one caller at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...plugins import Array, PlugrtError, ShapeError
from ..devices.cpu.memory import address_of
from .buffers import allocate
from .callers_arrays import check_apart, input_arrays, output_arrays
from .cpu_recorder import CpuRecorder, Schedule
from .planned import PlannedNetwork
from .shape_recording import ShapeRecording
from .weight_store import PackedWeights

MAXIMUM_SHAPES = 16
"""Input shapes whose recordings a context keeps."""


Outputs = Mapping[str, Any] | str | None
"""Arrays to write into, "device" for new ones on the GPU, or None for new ones on the host."""


class Owner(Protocol):
    """The engine, as far as its contexts care."""

    @property
    def closed(self) -> bool:
        """Whether its plug-ins are terminated."""


@dataclass(frozen=True)
class LayerTime:
    """What the profiler saw of one layer."""

    name: str
    type: str
    seconds: float


class ExecutionContext:
    """Runs an engine; made by `Engine.create_context`.

    Several contexts may share one engine; each runs one call at a time, others wait. The
    first call with a new set of input shapes records, later ones replay.
    """

    calls_at_once = 1
    """Calls from several threads that one context works on at the same time."""

    def __init__(
        self, planned: PlannedNetwork, packed: PackedWeights, threads: int,
        limits: Mapping[str, tuple[int, int]] | None = None, engine: Owner | None = None,
        schedule: Schedule = Schedule(),  # noqa: B008 - immutable
    ) -> None:  # fmt: skip
        self.threads = threads
        self._schedule = schedule
        self._engine = engine  # else its plug-ins would be terminated once nobody refers to it
        self._closing = self._closed = False
        self._limits = dict(limits or {})
        self._planned = planned
        self._packed = packed
        self._lock = threading.Lock()
        self._starting = threading.Lock()  # `enqueue` must not wait for a call to end
        self._recordings: OrderedDict[tuple[tuple[int, ...], ...], ShapeRecording] = OrderedDict()
        self._arena: Array = allocate(0)
        self._arena_address = 0
        self._executor: ThreadPoolExecutor | None = None
        network = planned.network
        self._inputs = [(t.name, t.dtype.numpy, t) for t in network.inputs]

    def execute(
        self, inputs: Mapping[str, Any], outputs: Outputs = None
    ) -> dict[str, Any]:
        """Run once; returns every output by name.

        `inputs` are NumPy arrays or anything with `__dlpack__` in CPU memory; C-contiguous
        ones are read in place. `outputs` may give arrays to write into; others are new.

        On a GPU both may also be arrays there, which speak DLPack or `__cuda_array_interface__`
        (torch, CuPy): they are used in place, without a copy. `outputs="device"` returns such
        arrays, before the GPU is done; whoever reads them waits.
        Raises ShapeError for wrong names, types or shapes and for outputs that lie in an input,
        DeviceError naming a layer that fails, PlugrtError when the context is closed.
        """
        with self._lock:
            return self._execute(inputs, outputs)

    def enqueue(
        self, inputs: Mapping[str, Any], outputs: Outputs = None
    ) -> Future[dict[str, Any]]:
        """Like `execute`, on the context's own thread; calls run in order.

        Do not change the arrays before the result is there; errors are raised by its `result()`.
        On a GPU the next call's arrays are copied while the last one computes. Callbacks of the
        future must not wait for this context.
        """
        with self._starting:
            self._check_open()
            if self._closing:
                raise PlugrtError("the execution context is being closed; create another one")
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="plugrt")
            return self._executor.submit(self.execute, inputs, outputs)

    def profile(self, inputs: Mapping[str, Any], runs: int = 10) -> list[LayerTime]:
        """Median seconds of every layer over `runs` timed runs, in execution order; 0 for one
        that has nothing to do. Raises like `execute`."""
        if runs < 1:
            raise PlugrtError(f"runs={runs} is not possible; use 1 or more")
        layers = self._planned.network.layers
        samples = np.zeros((runs, len(layers)))
        with self._lock:
            self._execute(inputs, None)
            for run in range(runs):
                times: list[tuple[int, float]] = []
                self._execute(inputs, None, times)
                for position, seconds in times:
                    samples[run, position] += seconds
        return [
            LayerTime(layer.name, layer.plugin.type, float(seconds))
            for layer, seconds in zip(layers, np.median(samples, axis=0), strict=True)
        ]

    def recording(self, shapes: Mapping[str, tuple[int, ...]]) -> ShapeRecording:
        """The recording for these input shapes, made when needed (`close` releases it).

        Raises ShapeError for shapes that do not fit.
        """
        missing = [name for name, _, _ in self._inputs if name not in shapes]
        if missing:
            raise ShapeError(f"the shape of input {missing[0]!r} is missing")
        with self._lock:
            self._check_open()
            return self._recording_for(tuple(tuple(shapes[name]) for name, _, _ in self._inputs))

    def _recording_for(self, key: tuple[tuple[int, ...], ...]) -> ShapeRecording:
        found = self._recordings.get(key)
        if found is None:
            sizes = self._planned.sizes_of(key)
            self._check_limits(sizes)
            recorder = CpuRecorder(self._packed, self.threads, self._schedule)
            found = ShapeRecording(self._planned, sizes, recorder, self.threads)
            if found.plan.arena_size > self._arena.nbytes:
                self._arena = allocate(found.plan.arena_size)
                self._arena_address = address_of(self._arena)
            self._recordings[key] = found
            if len(self._recordings) > MAXIMUM_SHAPES:
                self._recordings.popitem(last=False)
        else:
            self._recordings.move_to_end(key)
        return found

    @property
    def is_usable(self) -> bool:
        """False once its device has failed for good, so that every further call would fail."""
        return True

    def close(self) -> None:
        """Wait for what was enqueued, then release recordings, arena and thread; the context
        cannot be used afterwards."""
        with self._starting:
            self._closing = True
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        with self._lock:
            self._closed = True
            self._release()
            self._engine = None
            if self._schedule.runner is not None:
                self._schedule.runner.close()

    def _release(self) -> None:
        """Let go of recordings and memory."""
        self._recordings.clear()
        self._arena = allocate(0)

    def __enter__(self) -> ExecutionContext:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise PlugrtError("the execution context is closed; create another one")
        if self._engine is not None and self._engine.closed:
            raise PlugrtError("the engine of this execution context is closed; load it again")

    def _check_limits(self, sizes: Mapping[str, int]) -> None:
        for name, (low, high) in self._limits.items():
            if name in sizes and not low <= sizes[name] <= high:
                raise ShapeError(
                    f"size {name} is {sizes[name]}; the engine was built for {low} to {high}: "
                    "build it with a wider profile or max_batch_size"
                )

    def _execute(
        self, inputs: Mapping[str, Any], outputs: Outputs,
        times: list[tuple[int, float]] | None = None,
    ) -> dict[str, Any]:
        self._check_open()
        arrays = input_arrays(inputs, self._inputs)
        recording = self._recording_for(tuple([array.shape for array in arrays]))
        network = self._planned.network
        names = network.output_names
        if outputs and not isinstance(outputs, str):
            results = output_arrays(outputs, names, recording.output_descs)
            check_apart(
                zip(network.input_names, arrays, strict=True), zip(names, results, strict=True)
            )
        else:
            results = [np.empty(shape, dtype) for shape, dtype in recording.output_arrays]
        sizes = recording.run(
            self._arena_address,
            [address_of(array) for array in arrays],
            [address_of(array) for array in results],
            times,
        )
        if self._packed.is_unsaved:  # only now, so that the first result does not wait for it
            self._packed.save()
        if recording.is_simple:
            return dict(zip(names, results, strict=True))
        return {
            name: recording.cut(index, array, sizes)
            for index, (name, array) in enumerate(zip(names, results, strict=True))
        }
