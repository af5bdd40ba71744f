"""What a context on a GPU keeps for one set of input shapes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from ....plugins import DeviceError, TensorDesc
from ....plugins.native.cuda import Context
from ...runtime.shape_recording import ShapeRecording
from .callers_arrays import Feed, is_on_host
from .endpoints import Endpoint
from .events import DeviceStream
from .graphs import Graph

HOST, DEVICE = "h", "d"
"""Whether a copy from or to the host is part of the graph; the letters of a mode, one for each
input and output."""

Way = tuple[str, tuple[int, ...]]
"""How a call hands arrays over: its mode, and the addresses of those that are used in place."""

PATIENCE = 4
"""Calls in a row with addresses never seen, after which arrays are copied to fixed ones."""

MAXIMUM_ADDRESSES = 7
"""Sets of callers' addresses that are remembered; with fixed ones a recording keeps one more."""


class Places:
    """The fixed places of one turn."""

    def __init__(
        self, context: Context, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc],
        streamed: Collection[int] = (),
    ) -> None:  # fmt: skip
        self.inputs = [Endpoint(context, desc) for desc in inputs]
        self.outputs = [
            Endpoint(context, desc, index in streamed) for index, desc in enumerate(outputs)
        ]
        self.graphs: dict[Way, Graph] = {}
        """What calls launch that come in a way that is known."""


class ShapePlaces:
    """Fixed places, and a recording for each way to hand arrays over."""

    def __init__(
        self, context: Context, sizes: dict[str, int], inputs: Sequence[TensorDesc]
    ) -> None:
        self.sizes = sizes
        self.inputs = inputs
        self.outputs: Sequence[TensorDesc] = ()
        """Known once there is a recording."""
        self.streamed: Collection[int] = ()
        """Outputs that kernels may write straight into the host's memory."""
        self.recordings: dict[str, ShapeRecording] = {}
        self.places: list[Places] = []
        """By number of the turn."""
        self._context = context
        self._known: OrderedDict[Way, None] = OrderedDict()
        self._misses = 0

    def of_turn(self, number: int) -> Places:
        """The places of a turn."""
        while len(self.places) <= number:
            self.places.append(Places(self._context, self.inputs, self.outputs, self.streamed))
        return self.places[number]

    def input_at(self, address: int, index: int) -> Endpoint:
        """The fixed place of an input at this address of the GPU."""
        return _at(address, [places.inputs[index] for places in self.places])

    def output_at(self, address: int, index: int) -> Endpoint:
        """The fixed place of an output at this address of the GPU."""
        return _at(address, [places.outputs[index] for places in self.places])

    def copies_output(self, index: int) -> bool:
        """Whether an output that is wanted on the host is copied there by the graph."""
        return not self.of_turn(0).outputs[index].is_streamed

    @cached_property
    def host_mode(self) -> str:
        """The mode of calls whose arrays are all on the host."""
        places = self.of_turn(0)
        return "".join(
            [DEVICE if place.is_large else HOST for place in (*places.inputs, *places.outputs)]
        )

    def mode(self, feeds: Sequence[Feed], targets: Sequence[Any]) -> str:
        """The mode of a call."""
        on_host = [is_on_host(value) for value in (*feeds, *targets)]
        pairs = zip(self.host_mode, on_host, strict=True)
        return "".join([letter if host else DEVICE for letter, host in pairs])

    def forget_graphs(self) -> None:
        """Look all graphs up again, as the arena is another one."""
        for places in self.places:
            places.graphs.clear()

    def is_known(self, way: Way, stream: DeviceStream) -> bool:
        """Whether callers' addresses may become part of a graph, to be launched on `stream`: each
        new set costs a capture, so not where they change with every call."""
        if way in self._known:
            self._misses = 0
            self._known.move_to_end(way)
            return True
        self._misses += 1
        if self._misses > PATIENCE:
            return False
        self._known[way] = None
        if len(self._known) > MAXIMUM_ADDRESSES:
            former, _ = self._known.popitem(last=False)
            stream.synchronize()  # its graphs may be running
            for places in self.places:
                places.graphs.pop(former, None)
        return True


def _at(address: int, endpoints: Sequence[Endpoint]) -> Endpoint:
    for endpoint in endpoints:
        if endpoint.device.address == address:
            return endpoint
    raise DeviceError("a recording copies from or to the host at an address of a caller's")
