"""What a context on a GPU has recorded, by the shapes of its inputs, and the memory they share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from ....plugins import TensorDesc
from ...runtime.context import MAXIMUM_SHAPES
from ...runtime.planned import PlannedNetwork
from ...runtime.shape_recording import ShapeRecording
from .compiling_ahead import compile_ahead
from .events import DeviceStream
from .faults import Faults
from .memory import DeviceBuffer
from .recorder import CudaRecorder
from .shape_places import ShapePlaces
from .streamed import streamed_outputs
from .weights import DeviceWeights

Key = tuple[tuple[int, ...], ...]
"""The shapes of all inputs."""


class ShapeCache:
    """The fixed places and recordings of one context; one thread at a time."""

    def __init__(
        self, planned: PlannedNetwork, weights: DeviceWeights, stream: DeviceStream,
        faults: Faults, threads: int,
    ) -> None:  # fmt: skip
        self.kept: OrderedDict[Key, ShapePlaces] = OrderedDict()
        self._planned = planned
        self._weights = weights
        self._context = weights.context
        self._stream = stream
        self._faults = faults
        self._threads = threads
        self._memory: DeviceBuffer | None = None
        """The arena of all shapes."""

    def of(self, key: Key, check: Callable[[Mapping[str, int]], None]) -> ShapePlaces:
        """The places for inputs of these shapes. `check` is told the sizes of new ones. Raises
        ShapeError for shapes that do not fit."""
        found = self.kept.get(key)
        if found is None:
            found = self._first(key, check)
            self.kept[key] = found
            if len(self.kept) > MAXIMUM_SHAPES:
                self._stream.synchronize()  # what is dropped may be in use
                self.kept.popitem(last=False)
        elif len(self.kept) > 1:
            self.kept.move_to_end(key)
        return found

    def recorded(self, shapes: ShapePlaces, mode: str) -> ShapeRecording:
        """The recording for a way to hand arrays over."""
        found = shapes.recordings.get(mode)
        if found is None:
            _, found = self._make(shapes, mode)
            shapes.recordings[mode] = found
        return found

    def arena_for(self, recording: ShapeRecording, inputs: Sequence[TensorDesc]) -> int:
        """The address of an arena that is large enough. Raises DeviceMemoryError; later calls at
        sizes that fit go on working."""
        size = recording.plan.arena_size
        if self._memory is None or size > self._memory.nbytes:
            self._stream.synchronize()
            self._memory = None
            for other in self.kept.values():
                other.forget_graphs()  # of the former arena
            given = ", ".join(map(str, inputs))
            self._memory = DeviceBuffer(self._context, size, f"the activations of {given}")
        return self._memory.address

    def clear(self) -> None:
        """Forget everything; nothing runs any more."""
        self.kept.clear()
        self._memory = None

    def _first(self, key: Key, check: Callable[[Mapping[str, int]], None]) -> ShapePlaces:
        network = self._planned.network
        sizes = self._planned.sizes_of(key)
        check(sizes)
        descs = [
            TensorDesc(tensor.dtype, shape)
            for tensor, shape in zip(network.inputs, key, strict=True)
        ]
        shapes = ShapePlaces(self._context, sizes, descs)
        recorder, recording = self._make(shapes)
        shapes.outputs = recording.output_descs
        shapes.streamed = streamed_outputs(network, recording.plan)
        recorder.mode = shapes.host_mode
        shapes.recordings[recorder.mode] = recording
        return shapes

    def _make(self, shapes: ShapePlaces, mode: str = "") -> tuple[CudaRecorder, ShapeRecording]:
        recorder = CudaRecorder(self._weights, self._stream, self._faults, shapes, mode)
        with self._weights.loan.in_use():
            recording = ShapeRecording(self._planned, shapes.sizes, recorder, self._threads)
            self.arena_for(recording, shapes.inputs)
            if not shapes.recordings:  # other ways to hand arrays over need nothing else
                compile_ahead(self._planned, recording.plan, self._context.ordinal)
        return recorder, recording
