"""One inference of a whole network on a GPU, on memory of its own, to be timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from ....plugins import Array, DeviceError, TensorDesc
from ....plugins.dims import evaluate_shape
from ...memory import MemoryPlan
from ...runtime.planned import PlannedNetwork
from ...runtime.shape_recording import ShapeRecording
from .events import DeviceStream
from .faults import Faults
from .memory import DeviceBuffer
from .recorder import CudaRecorder
from .recording import CudaRecording
from .shape_places import DEVICE, ShapePlaces
from .timing import Stopwatch
from .weights import DeviceWeights


class WholeNetwork:
    """A network recorded for arrays on the GPU, at sizes that do not depend on data.

    Raises DeviceError where they do.
    """

    def __init__(
        self, planned: PlannedNetwork, weights: DeviceWeights, threads: int,
        sizes: Mapping[str, int], lanes: int, sample: Callable[[TensorDesc], Array],
    ) -> None:  # fmt: skip
        context = weights.context
        descs = [
            TensorDesc(tensor.dtype, evaluate_shape(tensor.shape, sizes))
            for tensor in planned.network.inputs
        ]
        mode = DEVICE * (len(descs) + len(planned.network.outputs))
        recorder = _Recorder(
            weights, DeviceStream(context), Faults(context),
            ShapePlaces(context, dict(sizes), descs), mode,
        )  # fmt: skip
        recorder.most = lanes
        found = ShapeRecording(planned, sizes, recorder, threads)
        if not found.is_simple:
            raise DeviceError(f"network {planned.network.name!r} has sizes that data decide")
        self.arrangement = found.arrangement
        self._buffers = [DeviceBuffer(context, max(found.plan.arena_size, 1))]
        self._buffers += [DeviceBuffer.of(context, sample(desc)) for desc in descs]
        self._buffers += [
            DeviceBuffer(context, max(desc.nbytes, 1)) for desc in found.output_descs
        ]
        variant = found.variant(found.segments[0], sizes)
        self.recording = cast(CudaRecording, variant.recording)
        for slot, buffer in zip(variant.slots, self._buffers, strict=True):
            self.recording.bind(slot, buffer.address)

    @property
    def lanes(self) -> int:
        """How many are in use."""
        return self.arrangement.count

    def stopwatch(self) -> Stopwatch:
        """What times it, and keeps its memory."""
        return Stopwatch(self.recording, owner=self)


class _Recorder(CudaRecorder):
    """Lanes that nobody has decided on."""

    most = 1

    def lanes(self, planned: PlannedNetwork, plan: MemoryPlan) -> int:
        return self.most
