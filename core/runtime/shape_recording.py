"""All recordings of one context for one set of input shapes.

Layers run in segments: where a layer needs a size that only the data decide, the segment
before it is replayed, the size is read, and the next one is taken from a cache or recorded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...plugins import Array, DeviceError, DimLike, Recording, TensorDesc
from ...plugins.dims import evaluate, evaluate_shape, symbols
from ...plugins.native import cpu
from ..devices.recorder import Ends, Recorder, RecorderStream
from ..graph import Tensor
from ..graph.concrete_shapes import check_shapes
from ..memory import MemoryPlanner
from .arrangement import Arrangement, arrange
from .planned import PlannedNetwork
from .recorder import Buffers, Views, body_recorder, is_barrier, record_layers

MAXIMUM_VARIANTS = 32
"""Recordings kept of one segment, for different data-dependent sizes."""


@dataclass
class Variant:
    """One segment recorded for certain sizes."""

    recording: Recording
    slots: list[int]
    """Slots of the arena, the inputs and the outputs, in this order."""


@dataclass
class Segment:
    """Layers [first, last), and the sizes its end makes known."""

    first: int
    last: int
    learns: list[tuple[str, Tensor]] = field(default_factory=list)
    variants: OrderedDict[tuple[int, ...], Variant] = field(default_factory=OrderedDict)


class ShapeRecording:
    """Plan, segments and recordings for one set of input shapes."""

    def __init__(
        self, planned: PlannedNetwork, sizes: Mapping[str, int], recorder: Recorder, threads: int
    ) -> None:
        check_shapes(planned.network, sizes)
        self.planned = planned
        self.sizes = dict(sizes)
        self._recorder = recorder
        self._packed = recorder.packed
        self.segments = _segments(planned, sizes)
        with cpu.team_of(threads):  # scratch memory depends on the team
            self.arrangement = self._arranged()
        self.plan = self.arrangement.plan
        self._positions = {
            id(tensor): position
            for position, layer in enumerate(planned.network.layers)
            for tensor in layer.outputs
        }
        self._bounds = {
            name: evaluate(_bound_of(planned, name), self.sizes)
            for segment in self.segments
            for name, _ in segment.learns
        }
        self.output_descs: list[TensorDesc] = [
            self.plan.of(tensor).desc for tensor in planned.network.outputs
        ]
        self.output_arrays = [(desc.sizes, desc.dtype.numpy) for desc in self.output_descs]
        self.is_simple = len(self.segments) == 1 and not self.segments[0].learns

    def _arranged(self) -> Arrangement:
        network = self.planned.network
        planner = MemoryPlanner(network, self.sizes, self.planned.aliasing)
        plan = planner.plan()
        count = self._recorder.lanes(self.planned, plan)
        if count == 1:
            return Arrangement(plan)
        alone = {segment.first for segment in self.segments[1:]}
        alone |= {k for k, x in enumerate(network.layers) if self._recorder.runs_alone(x)}
        return arrange(self.planned, planner, plan, count, alone)

    @property
    def commands(self) -> int:
        """Commands recorded so far, over all segments."""
        return sum(
            variant.recording.command_count
            for segment in self.segments
            for variant in segment.variants.values()
        )

    def variant(self, segment: Segment, sizes: Mapping[str, int]) -> Variant:
        """The segment recorded for these sizes."""
        key = tuple(size for name, size in sorted(sizes.items()) if name not in self.sizes)
        found = segment.variants.get(key)
        if found is None:
            found = segment.variants[key] = self._record(segment, sizes)
            if len(segment.variants) > MAXIMUM_VARIANTS:
                segment.variants.popitem(last=False)
        else:
            segment.variants.move_to_end(key)
        return found

    def run(
        self, arena: int, inputs: Sequence[int], outputs: Sequence[int],
        times: list[tuple[int, float]] | None = None,
    ) -> dict[str, int]:
        """Replay everything on these addresses; returns all sizes, data-dependent ones included."""
        sizes = dict(self.sizes)
        for segment in self.segments:
            variant = self.variant(segment, sizes)
            recording = variant.recording
            for slot, address in zip(variant.slots, (arena, *inputs, *outputs), strict=True):
                recording.bind(slot, address)
            if times is None:
                recording.replay()
            else:
                times += [(segment.first + k, s) for k, s in recording.replay_timed()]
            for name, tensor in segment.learns:
                sizes[name] = self._read(name, tensor, arena, inputs, outputs)
        return sizes

    def cut(self, output: int, memory: Array, sizes: Mapping[str, int]) -> Array:
        """Output `output` out of its buffer, at its actual shape."""
        tensor = self.planned.network.outputs[output]
        known = self._known_at(tensor, sizes)
        stored = evaluate_shape(tensor.shape, known)
        count = int(np.prod(stored, dtype=np.int64))
        array = memory.reshape(-1)[:count].reshape(stored)
        shape = evaluate_shape(tensor.shape, sizes)
        return array[tuple(slice(0, size) for size in shape)]

    def _known_at(self, tensor: Tensor, sizes: Mapping[str, int]) -> dict[str, int]:
        """The sizes known when a tensor was written."""
        position = self._positions.get(id(tensor), -1)
        known = dict(self.sizes)
        for segment in self.segments:
            if segment.last > position:
                break
            known.update({name: sizes[name] for name, _ in segment.learns})
        return known

    def _record(self, segment: Segment, sizes: Mapping[str, int]) -> Variant:
        network = self.planned.network
        slots = self._recorder.slots()
        arena = slots.reserve()
        inputs = [slots.reserve() for _ in network.inputs]
        outputs = [slots.reserve() for _ in network.outputs]
        buffers = Buffers((arena, 0), [(s, 0) for s in inputs], [(s, 0) for s in outputs])
        views = Views(network, self.plan, buffers, slots, self.planned.digests)
        for tensor in network.tensors.values():
            if id(tensor) in self._positions and len(self.segments) > 1:
                views.made[id(tensor)] = self._known_at(tensor, {**self._bounds, **sizes})

        def layers(stream: RecorderStream) -> None:
            record_layers(
                stream, self.planned, views, sizes, segment.first, segment.last,
                self.arrangement.lanes,
            )  # fmt: skip

        ends = Ends(
            inputs if segment is self.segments[0] else (),
            outputs if segment is self.segments[-1] else (),
        )
        recording = self._recorder.record(slots, layers, body_recorder(self.planned.body), ends)
        return Variant(recording, [arena, *inputs, *outputs])

    def _read(
        self, name: str, tensor: Tensor, arena: int, inputs: Sequence[int],
        outputs: Sequence[int],
    ) -> int:
        place = self.plan.of(tensor)
        base = {"arena": [arena], "input": inputs, "output": outputs}[place.where]
        value = self._recorder.read_int64(base[place.buffer] + place.offset)
        bound = self._bounds[name]
        if not 0 <= value <= bound:
            raise DeviceError(
                f"layer {tensor.producer.name if tensor.producer else '?'!r} reported the size "
                f"{value} for {name}; its own bound is {bound}"
            )
        return value


def _segments(planned: PlannedNetwork, sizes: Mapping[str, int]) -> list[Segment]:
    network = planned.network
    known = dict(sizes)
    segments = [Segment(0, 0)]
    for position, layer in enumerate(network.layers):
        if is_barrier(layer, known):
            segments[-1].last = position
            _learn(planned, segments[-1], known)
            segments.append(Segment(position, position))
    segments[-1].last = len(network.layers)
    _learn(planned, segments[-1], known)
    return segments


def _learn(planned: PlannedNetwork, segment: Segment, known: dict[str, int]) -> None:
    """Sizes that are known at the segment's end and needed behind it."""
    network = planned.network
    done = {id(t) for layer in network.layers[: segment.last] for t in layer.outputs}
    later = [*network.outputs]
    for layer in network.layers[segment.last :]:
        later += (*layer.present_inputs, *layer.outputs)
    needed = symbols([dim for tensor in later for dim in tensor.shape])
    for name, tensor in network.size_tensors.items():
        if name not in known and name in needed and id(tensor) in done:
            segment.learns.append((name, tensor))
            known[name] = 0  # from here on it counts as known; run() fills in the value


def _bound_of(planned: PlannedNetwork, name: str) -> DimLike:
    for tensor in planned.network.tensors.values():
        found = symbols(tensor.shape).get(name)
        if found is not None and found.bound is not None:
            return found.bound
    raise DeviceError(f"size {name!r} belongs to no tensor")
