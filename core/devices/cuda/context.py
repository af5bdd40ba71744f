"""Execution contexts on a GPU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ....plugins import DeviceError, PlugrtError, ShapeError, TensorDesc
from ...runtime.context import (
    MAXIMUM_SHAPES,
    ExecutionContext,
    Outputs,
    Owner,
    as_array,
    missing_input,
    wrong_type,
)
from ...runtime.planned import PlannedNetwork
from ...runtime.shape_recording import ShapeRecording
from .callers_arrays import Feed, array_on_gpu, check_apart, target_for
from .compiling_ahead import compile_ahead
from .endpoints import Endpoint
from .events import DeviceStream
from .faults import Faults
from .interchange import ForeignArray
from .memory import DeviceBuffer
from .recorder import DEVICE, HOST, CudaRecorder
from .shape_places import ShapePlaces
from .weights import DeviceWeights

ON_DEVICE = "device"
"""What `outputs` says for results that stay on the GPU."""

MOST_RUNNING = 64
"""Calls that are begun before the first of them is waited for."""

Key = tuple[tuple[int, ...], ...]


class CudaContext(ExecutionContext):
    """Runs an engine on a GPU, on a stream of its own.

    An inference is one launch of a graph, unless layers run on the host or sizes depend on the
    data; copies from and to the host are part of it.
    """

    def __init__(
        self, planned: PlannedNetwork, weights: DeviceWeights, threads: int,
        limits: Mapping[str, tuple[int, int]] | None = None, engine: Owner | None = None,
    ) -> None:  # fmt: skip
        super().__init__(planned, weights.host, threads, limits, engine)
        self._weights = weights
        self._context = weights.context
        self._stream = DeviceStream(self._context)
        self._faults = Faults(self._context)
        self._memory = DeviceBuffer(self._context, 1)
        self._shapes: OrderedDict[Key, ShapePlaces] = OrderedDict()
        self._running: list[list[Feed]] = []
        """What calls read that may not be done."""

    def synchronize(self) -> None:
        """Wait for all calls whose results stay on the GPU. Raises DeviceError naming a layer
        that failed."""
        self._stream.synchronize()
        self._running.clear()
        self._faults.check()

    # ---- recordings -----------------------------------------------------------------------

    def _recording_for(self, key: Key) -> ShapeRecording:
        found = self._shapes_for(key)
        network = self._planned.network
        return self._recorded(found, HOST * (len(network.inputs) + len(network.outputs)))

    def _shapes_for(self, key: Key) -> ShapePlaces:
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = ShapePlaces()
            try:
                self._check_limits(self._planned.sizes_of(key))
                self._first_recording(found, key)
            except BaseException:
                del self._shapes[key]
                raise
            if len(self._shapes) > MAXIMUM_SHAPES:
                self.synchronize()
                self._shapes.popitem(last=False)
        else:
            self._shapes.move_to_end(key)
        return found

    def _first_recording(self, shapes: ShapePlaces, key: Key) -> None:
        network = self._planned.network
        shapes.sizes = self._planned.sizes_of(key)
        shapes.inputs = [
            Endpoint(self._context, TensorDesc(tensor.dtype, shape))
            for tensor, shape in zip(network.inputs, key, strict=True)
        ]
        mode = HOST * (len(network.inputs) + len(network.outputs))
        recording = self._make(shapes, mode)
        shapes.outputs += [Endpoint(self._context, desc) for desc in recording.output_descs]
        shapes.recordings[mode] = recording

    def _make(self, shapes: ShapePlaces, mode: str) -> ShapeRecording:
        recorder = CudaRecorder(
            self._weights, self._stream, self._faults, shapes.inputs, shapes.outputs, mode
        )
        recording = ShapeRecording(self._planned, shapes.sizes, recorder, self.threads)
        if recording.plan.arena_size > self._memory.nbytes:
            self.synchronize()
            self._memory = DeviceBuffer(self._context, recording.plan.arena_size)
        compile_ahead(self._planned, recording.plan, self._context.ordinal)
        return recording

    def _recorded(self, shapes: ShapePlaces, mode: str) -> ShapeRecording:
        found = shapes.recordings.get(mode)
        if found is None:
            found = shapes.recordings[mode] = self._make(shapes, mode)
        return found

    # ---- a call ---------------------------------------------------------------------------

    def _execute(
        self, inputs: Mapping[str, Any], outputs: Outputs,
        times: list[tuple[int, float]] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        self._check_open()
        if isinstance(outputs, str) and outputs != ON_DEVICE:
            raise PlugrtError(f"outputs={outputs!r} is not possible; give arrays, 'device' or None")
        feeds = self._feeds(inputs)
        shapes = self._shapes_for(tuple([feed.shape for feed in feeds]))
        targets = self._targets(shapes, outputs)
        mode = "".join(
            [HOST if isinstance(feed, np.ndarray) else DEVICE for feed in feeds]
            + [HOST if isinstance(target, np.ndarray) else DEVICE for target in targets]
        )
        if self._running and (HOST in mode or len(self._running) == MOST_RUNNING):
            self.synchronize()  # the last call may still use the pinned memory
        recording = self._recorded(shapes, mode)
        if not recording.is_simple and DEVICE in mode[len(feeds) :]:
            raise DeviceError(
                "sizes of this network depend on its data, so its outputs cannot stay on the GPU; "
                "give arrays of the host, or none"
            )
        for endpoint, feed in zip(shapes.inputs, feeds, strict=True):
            if isinstance(feed, np.ndarray):
                endpoint.write(feed)
        given = tuple([item.address for item in (*feeds, *targets) if hasattr(item, "address")])
        in_place = not given or shapes.are_known(mode, given)
        sources = [
            feed.address if in_place and isinstance(feed, ForeignArray) else endpoint.device.address
            for endpoint, feed in zip(shapes.inputs, feeds, strict=True)
        ]  # fmt: skip
        results = [
            endpoint.device.address if not in_place or isinstance(target, np.ndarray)
            else target.address
            for endpoint, target in zip(shapes.outputs, targets, strict=True)
        ]  # fmt: skip
        if isinstance(outputs, Mapping):
            check_apart(feeds, targets, self._planned.network.output_names)
        if not in_place:
            self._copy_in(shapes, feeds)
        self._running.append(feeds)
        sizes = recording.run(self._memory.address, sources, results, times)
        if not in_place:
            self._copy_out(shapes, targets)
        return self._results(shapes, recording, feeds, targets, outputs, sizes)

    def _results(
        self, shapes: ShapePlaces, recording: ShapeRecording, feeds: Sequence[Feed],
        targets: Sequence[Any], outputs: Outputs, sizes: Mapping[str, int],
    ) -> dict[str, Any]:  # fmt: skip
        names = self._planned.network.output_names
        if outputs == ON_DEVICE:
            with self._context.current():
                return {
                    name: endpoint.result(target, self._stream, (feeds, self))
                    for name, endpoint, target in zip(names, shapes.outputs, targets, strict=True)
                }
        self.synchronize()
        given = outputs if isinstance(outputs, Mapping) else {}
        found: dict[str, Any] = {}
        for index, (name, endpoint, target) in enumerate(
            zip(names, shapes.outputs, targets, strict=True)
        ):
            if not isinstance(target, np.ndarray):
                found[name] = given[name]
                continue
            endpoint.read(target)
            found[name] = target if recording.is_simple else recording.cut(index, target, sizes)
        return found

    def _copy_in(self, shapes: ShapePlaces, feeds: Sequence[Feed]) -> None:
        with self._context.current():
            for endpoint, feed in zip(shapes.inputs, feeds, strict=True):
                if isinstance(feed, ForeignArray):
                    endpoint.copy(self._stream, endpoint.device.address, feed.address)

    def _copy_out(self, shapes: ShapePlaces, targets: Sequence[Any]) -> None:
        with self._context.current():
            for endpoint, target in zip(shapes.outputs, targets, strict=True):
                if not isinstance(target, np.ndarray):
                    endpoint.copy(self._stream, target.address, endpoint.device.address)

    # ---- callers' arrays ------------------------------------------------------------------

    def _feeds(self, inputs: Mapping[str, Any]) -> list[Feed]:
        feeds: list[Feed] = []
        for name, dtype, tensor in self._inputs:
            if name not in inputs:
                raise missing_input(name, inputs)
            value = inputs[name]
            foreign = array_on_gpu("input", name, value, self._stream, self._context.ordinal)
            if foreign is not None:
                if foreign.dtype is not tensor.dtype:
                    raise wrong_type(name, foreign.dtype.value, tensor)
                feeds.append(foreign)
                continue
            array = as_array("input", name, value)
            if array.dtype != dtype:
                raise wrong_type(name, array.dtype, tensor)
            feeds.append(np.ascontiguousarray(array).reshape(array.shape))
        if len(inputs) > len(feeds):
            raise self._unknown_input(inputs)
        return feeds

    def _targets(self, shapes: ShapePlaces, outputs: Outputs) -> list[Any]:
        """Where each result goes: an array of the host, a foreign one or a buffer on the GPU."""
        if outputs == ON_DEVICE:
            return [endpoint.fresh(self._stream) for endpoint in shapes.outputs]
        given = cast("Mapping[str, Any]", outputs or {})
        names = self._planned.network.output_names
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ShapeError(f"unknown output {unknown[0]!r}; the engine has: {', '.join(names)}")
        return [
            target_for(name, endpoint.desc, given.get(name), self._stream, self._context.ordinal)
            for name, endpoint in zip(names, shapes.outputs, strict=True)
        ]

    def _release(self) -> None:
        super()._release()
        self._stream.synchronize()
        self._running.clear()
        self._shapes.clear()
        self._memory = DeviceBuffer(self._context, 1)
