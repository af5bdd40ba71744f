"""What a context needs of its device: slots, and streams to fill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...plugins import Graph, LayerPlugin, Recording, Slots, Stream, TensorView

if TYPE_CHECKING:
    from ..graph import Layer
    from ..memory import MemoryPlan
    from ..runtime.planned import PlannedNetwork


class RecorderStream(Stream):
    """A stream that an engine's layers are put on."""

    slots: Any

    @abstractmethod
    def begin_layer(self, name: str, after: Sequence[int] | None = None) -> None:
        """Attribute what follows to a layer.

        `after`: the earlier ones of the recording's layers, counted from 0, that it must wait
        for; None for all. A device that runs one at a time need not look at it.
        """

    def record_on_host(
        self, plugin: LayerPlugin, inputs: Sequence[TensorView | None],
        outputs: Sequence[TensorView], workspace: TensorView | None,
    ) -> None:  # fmt: skip
        """Put a layer's kernels for the CPU on the stream of another device."""
        plugin.enqueue(inputs, outputs, workspace, self)


BodyRecorder = Callable[
    [Any, Graph, Sequence[TensorView], Sequence[TensorView], TensorView], None
]
"""Records a body of a layer on the stream that is given."""


@dataclass(frozen=True)
class Ends:
    """Slots that a recording reads first and writes last; none for a part in the middle."""

    inputs: Sequence[int] = ()
    outputs: Sequence[int] = ()


class Recorder(ABC):
    """Makes the recordings of one context for one set of input shapes."""

    packed: Any
    """The PackedWeights that layers on the host share."""

    def lanes(self, planned: PlannedNetwork, plan: MemoryPlan) -> int:
        """How many layers may run beside each other; `plan` is what memory they need otherwise."""
        return 1

    def runs_alone(self, layer: Layer) -> bool:
        """Whether no other layer may run beside this one."""
        return False

    @abstractmethod
    def slots(self) -> Slots:
        """Slots for one recording."""

    @abstractmethod
    def record(
        self, slots: Any, layers: Callable[[Any], None], record_body: BodyRecorder, ends: Ends
    ) -> Recording:
        """A recording of what `layers` puts on a stream. It may be called again for other
        addresses, so it must put the same there each time."""

    @abstractmethod
    def read_int64(self, address: int) -> int:
        """A number in the device's memory, once what was replayed is done."""
