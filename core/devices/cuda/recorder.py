"""Recordings of a context on a GPU, copies of small arrays from and to the host within them."""

from __future__ import annotations

from collections.abc import Callable

from ...graph import Layer
from ...memory import MemoryPlan
from ...runtime.planned import PlannedNetwork
from ..recorder import BodyRecorder, Ends, Recorder
from .events import DeviceStream
from .faults import Faults
from .lanes import lanes_for, runs_alone
from .memory import read_int64
from .recording import CudaRecording
from .shape_places import HOST, MAXIMUM_ADDRESSES, ShapePlaces
from .slots import CudaSlots
from .stream import CudaStream
from .turns import DEPTH
from .weights import DeviceWeights


class CudaRecorder(Recorder):
    """Makes graphs for one set of shapes, and one way to hand arrays over.

    `mode` is read when a graph is captured.
    """

    def __init__(
        self, weights: DeviceWeights, stream: DeviceStream, faults: Faults, shapes: ShapePlaces,
        mode: str = "",
    ) -> None:  # fmt: skip
        self.mode = mode
        self.packed = weights.host
        self._weights = weights
        self._stream = stream
        self._faults = faults
        self._shapes = shapes

    def lanes(self, planned: PlannedNetwork, plan: MemoryPlan) -> int:
        return lanes_for(planned, plan)

    def runs_alone(self, layer: Layer) -> bool:
        return runs_alone(layer)

    def slots(self) -> CudaSlots:
        return CudaSlots(self._weights)

    def record(
        self, slots: CudaSlots, layers: Callable[[CudaStream], None], record_body: BodyRecorder,
        ends: Ends,
    ) -> CudaRecording:  # fmt: skip
        shapes = self._shapes

        def everything(stream: CudaStream) -> None:
            for index, slot in enumerate(ends.inputs):
                if self.mode[index] == HOST:
                    address = slots.addresses[slot]
                    shapes.input_at(address, index).fetch(stream.current, address)
            layers(stream)
            stream.join()
            stream.mark(-1)  # what follows belongs to no layer
            for index, slot in enumerate(ends.outputs):
                if self.mode[len(shapes.inputs) + index] == HOST and shapes.copies_output(index):
                    address = slots.addresses[slot]
                    shapes.output_at(address, index).send(stream.current, address)

        return CudaRecording(
            self._weights.context, slots, everything, stream=self._stream,
            record_body=record_body, faults=self._faults,
            maximum_instances=DEPTH * (MAXIMUM_ADDRESSES + 1),
        )  # fmt: skip

    def read_int64(self, address: int) -> int:
        with self._weights.context.current():
            return read_int64(address, self._stream)
