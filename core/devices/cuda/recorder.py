"""Recordings of a context on a GPU, copies from and to the host within them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..recorder import BodyRecorder, Ends, Recorder
from .endpoints import Endpoint
from .events import DeviceStream
from .faults import Faults
from .memory import read_int64
from .recording import CudaRecording
from .slots import CudaSlots
from .stream import CudaStream
from .weights import DeviceWeights

HOST, DEVICE = "h", "d"
"""Where a caller's array lies; the letters of a mode, one for each input and output."""


class CudaRecorder(Recorder):
    """Makes graphs for one set of shapes, and one way to hand arrays over."""

    def __init__(
        self, weights: DeviceWeights, stream: DeviceStream, faults: Faults,
        inputs: Sequence[Endpoint], outputs: Sequence[Endpoint], mode: str,
    ) -> None:  # fmt: skip
        self._weights = weights
        self.packed = weights.host
        self._stream = stream
        self._faults = faults
        self._inputs, self._outputs = inputs, outputs  # which may be filled in later
        self._mode = mode

    def slots(self) -> CudaSlots:
        return CudaSlots(self._weights)

    def record(
        self, slots: CudaSlots, layers: Callable[[CudaStream], None], record_body: BodyRecorder,
        ends: Ends,
    ) -> CudaRecording:  # fmt: skip
        count = len(self._inputs)

        def everything(stream: CudaStream) -> None:
            first = zip(self._inputs, self._mode, ends.inputs, strict=False)
            for endpoint, place, slot in first:
                if place == HOST:
                    endpoint.fetch(stream.current, slots.addresses[slot])
            layers(stream)
            stream.mark(-1)  # what follows belongs to no layer
            last = zip(self._outputs, self._mode[count:], ends.outputs, strict=False)
            for endpoint, place, slot in last:
                if place == HOST:
                    endpoint.send(stream.current, slots.addresses[slot])

        return CudaRecording(
            self._weights.context, slots, everything, stream=self._stream,
            record_body=record_body, faults=self._faults,
        )  # fmt: skip

    def read_int64(self, address: int) -> int:
        with self._weights.context.current():
            return read_int64(address, self._stream)
