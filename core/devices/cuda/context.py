"""Execution contexts on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, cast

from ....plugins import DeviceError, PlugrtError
from ...runtime.callers_arrays import check_apart
from ...runtime.context import ExecutionContext, Outputs, Owner
from ...runtime.planned import PlannedNetwork
from ...runtime.shape_recording import ShapeRecording
from .call_queue import CallQueue
from .callers_arrays import ON_DEVICE, Feed, feeds_of, is_on_host, overlap, targets_of
from .calls import Call, only_graph
from .events import DeviceStream
from .faults import Faults
from .shape_cache import Key, ShapeCache
from .shape_places import ShapePlaces, Way
from .transfers import HostTransfers, result_of
from .turns import DEPTH, Turn, Turns
from .weights import DeviceWeights

MOST_RUNNING = 64
"""Calls that are begun before the first of them is waited for."""


class CudaContext(ExecutionContext):
    """Runs an engine on a GPU, on a stream of its own.

    An inference is one launch of a graph, unless layers run on the host or sizes depend on the
    data; copies of small arrays from and to the host are part of it. Calls from several threads,
    and those of `enqueue`, overlap: one call's arrays are copied while another computes.
    """

    calls_at_once = DEPTH

    def __init__(
        self, planned: PlannedNetwork, weights: DeviceWeights, threads: int,
        limits: Mapping[str, tuple[int, int]] | None = None, engine: Owner | None = None,
    ) -> None:  # fmt: skip
        super().__init__(planned, weights.host, threads, limits, engine)
        self._context = weights.context
        self._loan = weights.loan
        self._stream = DeviceStream(self._context)
        self._faults = Faults(self._context)
        self._shapes = ShapeCache(planned, weights, self._stream, self._faults, threads)
        self._turns = Turns(self._context)
        self._transfers = HostTransfers(self._context, self._stream)
        self._running: list[Sequence[Feed]] = []
        """What calls read that left before they were done."""
        self._queue: CallQueue | None = None

    @property
    def stream(self) -> DeviceStream:
        """What all calls run on, for events of one's own; its `handle` is the CUstream."""
        return self._stream

    @property
    def is_usable(self) -> bool:
        return self._stream.is_usable

    def execute(self, inputs: Mapping[str, Any], outputs: Outputs = None) -> dict[str, Any]:
        holder = object()
        try:
            return self._finish(self._begin_alone(inputs, outputs, holder))
        except BaseException:
            self._give_back(holder)
            raise

    def enqueue(
        self, inputs: Mapping[str, Any], outputs: Outputs = None
    ) -> Future[dict[str, Any]]:
        with self._starting:
            self._check_open()
            if self._closing:
                raise PlugrtError("the execution context is being closed; create another one")
            if self._queue is None:
                self._queue = CallQueue()
            return self._queue.put(lambda: self._begin_alone(inputs, outputs), self._finish)

    def synchronize(self) -> None:
        """Wait for all calls whose results stay on the GPU. Raises DeviceError naming a layer
        that failed."""
        self._synchronize()

    def _synchronize(self, whose: str = "") -> None:
        running, self._running = self._running, []  # another thread's next call is not done yet
        try:
            self._stream.synchronize()
        except BaseException:  # Ctrl-C while the GPU reads them
            self._running.extend(running)
            raise
        running.clear()
        self._faults.check(whose=whose)

    # ---- recordings -----------------------------------------------------------------------

    def _recording_for(self, key: Key) -> ShapeRecording:
        found = self._places_for(key)
        return self._shapes.recorded(found, found.host_mode)

    def _places_for(self, key: Key) -> ShapePlaces:
        return self._shapes.of(key, self._check_limits)

    # ---- a call ---------------------------------------------------------------------------

    def _execute(
        self, inputs: Mapping[str, Any], outputs: Outputs,
        times: list[tuple[int, float]] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        holder = object()
        try:
            return self._finish(self._begin(inputs, outputs, times, holder))
        except BaseException:
            self._give_back(holder)
            raise

    def _begin_alone(
        self, inputs: Mapping[str, Any], outputs: Outputs, holder: object = None
    ) -> Call:
        with self._lock:
            return self._begin(inputs, outputs, None, holder)

    def _give_back(self, holder: object) -> None:
        """The turn of a call that Ctrl-C has ended between two steps; none after other failures."""
        if self._turns.has(holder):
            self._turns.break_off(holder, self._transfers.synchronize)

    def _begin(
        self, inputs: Mapping[str, Any], outputs: Outputs,
        times: list[tuple[int, float]] | None = None, holder: object = None,
    ) -> Call:  # fmt: skip
        """Put a call on the stream; one thread at a time. Its turn belongs to `holder`."""
        self._check_open()
        feeds = feeds_of(inputs, self._inputs, self._stream)
        shapes = self._places_for(tuple([feed.shape for feed in feeds]))
        names = self._planned.network.output_names
        targets: list[Any]
        if outputs == ON_DEVICE:
            targets = [endpoint.fresh(self._stream) for endpoint in shapes.of_turn(0).outputs]
        else:
            targets = targets_of(outputs, names, shapes.outputs, self._stream)
            if outputs:
                read = zip(self._planned.network.input_names, feeds, strict=True)
                written = [(n, t) for n, t in zip(names, targets, strict=True) if t is not None]
                check_apart(read, written, overlap)
        given: list[Any] = [item for item in (*feeds, *targets) if not is_on_host(item)]
        mode = shapes.mode(feeds, targets) if given else shapes.host_mode
        recording = self._shapes.recorded(shapes, mode)
        way: Way = (mode, ())
        in_place = True
        if given:
            if not recording.is_simple and not all(map(is_on_host, targets)):
                raise DeviceError(
                    "sizes of this network depend on its data, so its outputs cannot stay on the "
                    "GPU; give arrays of the host, or none"
                )
            named = (mode, tuple([item.address for item in given]))
            in_place = shapes.is_known(named, self._stream)
            way = named if in_place else way
        needs_turn = not in_place or len(given) < len(feeds) + len(targets)
        if self._faults.are_possible and outputs != ON_DEVICE:
            needs_turn = True  # so that later calls wait until this one's failures are told
        holder = holder or object()
        turn: Turn | None = None
        try:
            if needs_turn:
                turn = self._turns.take(holder)
            if self._faults.are_possible:  # alone, or a failure could be another call's
                self._turns.wait_for_others(turn)
                if self._running and outputs != ON_DEVICE:
                    self._synchronize("an earlier call, whose results stay on the GPU: ")
            places = shapes.of_turn(0 if turn is None else turn.number)
            call = Call(turn, holder, places, recording, targets, outputs, feeds)
            with self._context.current():
                self._put(call, way, feeds, in_place, times)
                call.known_faults = self._faults.known
                if outputs == ON_DEVICE:
                    self._leave(call, shapes, feeds)
        except BaseException:  # what was put on the streams uses this call's arrays
            self._turns.break_off(holder, self._transfers.synchronize)
            raise
        return call

    def _put(
        self, call: Call, way: Way, feeds: Sequence[Feed], in_place: bool,
        times: list[tuple[int, float]] | None,
    ) -> None:  # fmt: skip
        turn, places = call.turn, call.places
        if turn is not None:
            alone = self._turns.is_alone(turn)
            call.is_read = self._transfers.bring(turn, places.inputs, feeds, alone, in_place)
        graph = places.graphs.get(way) if times is None else None
        if graph is not None:
            graph.launch(self._stream)
        else:
            call.sizes = self._run(call, way, feeds, times)
        if turn is not None:
            call.chunked = self._transfers.fetch(turn, places.outputs, call.targets, in_place)

    def _run(
        self, call: Call, way: Way, feeds: Sequence[Feed], times: list[tuple[int, float]] | None
    ) -> Mapping[str, int]:
        """Run a recording on the addresses of a call's arrays, or on fixed ones."""
        places, recording = call.places, call.recording
        sources, results = (
            [
                item.address if way[1] and not is_on_host(item)
                else endpoint.address_for(is_on_host(item))
                for endpoint, item in zip(endpoints, items, strict=True)
            ]
            for endpoints, items in ((places.inputs, feeds), (places.outputs, call.targets))
        )
        arena = self._shapes.arena_for(recording, [endpoint.desc for endpoint in places.inputs])
        with self._loan.in_use():
            sizes = recording.run(arena, sources, results, times)
        graph = only_graph(recording) if times is None else None
        if graph is not None:
            places.graphs[way] = graph
        return sizes

    def _leave(self, call: Call, shapes: ShapePlaces, feeds: Sequence[Feed]) -> None:
        """End a call whose results stay on the GPU before they are there."""
        names, ends = self._planned.network.output_names, shapes.of_turn(0).outputs
        call.results = {
            name: endpoint.result(target, self._stream, (feeds, self))
            for name, endpoint, target in zip(names, ends, call.targets, strict=True)
        }
        if call.is_read and call.turn is not None:
            call.turn.arrived.synchronize()  # the caller may change its arrays then
        if len(self._running) >= MOST_RUNNING:
            self.synchronize()
        self._running.append(feeds)
        if call.turn is not None:
            call.turn.is_pending = True
            self._turns.leave(call.holder)

    def _finish(self, call: Call) -> dict[str, Any]:
        """Wait for a call that was put on the stream, and take its results."""
        if call.results is not None:
            return call.results
        turn = call.turn
        if turn is None:
            self._running.append(call.feeds)  # in case that Ctrl-C ends the waiting
            self.synchronize()
            return dict(cast("Mapping[str, Any]", call.outputs))
        try:
            return self._take(call, turn)
        except BaseException:  # the next call must not meet this one's copies
            self._turns.break_off(call.holder, turn.done.synchronize)
            raise
        finally:
            self._turns.leave(call.holder)

    def _take(self, call: Call, turn: Turn) -> dict[str, Any]:
        recording, ends = call.recording, call.places.outputs
        # Chunks are copied as they arrive; all else is there only once everything is done.
        chunked = {
            id(endpoint): result_of(endpoint, target, True)
            for endpoint, target in zip(ends, call.targets, strict=True)
            if endpoint in call.chunked
        }
        turn.done.synchronize()
        found: dict[str, Any] = {}
        for index, (name, endpoint, target) in enumerate(
            zip(self._planned.network.output_names, ends, call.targets, strict=True)
        ):
            if is_on_host(target):
                array = chunked.get(id(endpoint))
                if array is None:
                    array = result_of(endpoint, target, False)
                found[name] = (
                    array if recording.is_simple else recording.cut(index, array, call.sizes)
                )
            else:
                found[name] = cast("Mapping[str, Any]", call.outputs)[name]
        self._faults.check(call.known_faults)
        return found

    def close(self) -> None:
        with self._starting:
            self._closing = True
        if self._queue is not None:
            self._queue.close()
        super().close()

    def _release(self) -> None:
        super()._release()
        with suppress(DeviceError):  # whoever waited for a call was told
            self._turns.wait_for_others()
            self._stream.synchronize()
        self._running.clear()
        self._shapes.clear()
