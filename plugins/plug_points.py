"""The other plug points: kernels, parsers, passes, calibrators and devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .attributes import Schema
from .data_types import DataType
from .layer import LayerPlugin
from .rewriting import LayerNode, Patch
from .stream import Stream
from .tactics import Tactic, TacticRequest
from .tensor import Array, Format, TensorDesc


class KernelPlugin(ABC):
    """Further tactics for an existing layer (group `plugrt.kernels`).

    Instances are stateless; the tuner times their tactics against the layer's own.
    """

    name: ClassVar[str]
    layer: ClassVar[str]
    """Type of the layer that it implements."""

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Devices that it has kernels for; on others it is not asked."""

    @abstractmethod
    def getTactics(self, layer: LayerPlugin, request: TacticRequest) -> Sequence[Tactic]:
        """Ways to run this configuration of `layer`; names must not clash with its own."""

    def getWorkspaceSize(
        self, layer: LayerPlugin, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        """Scratch bytes that `enqueue` needs."""
        return 0

    @abstractmethod
    def enqueue(
        self,
        layer: LayerPlugin,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        workspace: Any,
        stream: Stream,
    ) -> None:
        """Record `layer.tactic`, one of ours; always recordable."""


@dataclass
class ParsedModel:
    """What a parser hands back: a network filled in, and notes for the user."""

    network: Any
    notes: list[str] = field(default_factory=list)


class ParserPlugin(ABC):
    """An importer for a model format (group `plugrt.parsers`).

    Options are declared as attributes, and become options of `plugrt build`
    (`cut_off = attribute(int, ...)` becomes `--cut-off N`).
    """

    name: ClassVar[str]
    schema: ClassVar[Schema] = Schema({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.schema = Schema.of(cls)

    def __init__(self, **options: Any) -> None:
        self.__dict__.update(self.schema.check(f"parser {self.name}", options))

    @classmethod
    @abstractmethod
    def accepts(cls, path: Path, head: bytes) -> bool:
        """Whether the file (its first 4,096 bytes in `head`) is in this format, by content."""

    @abstractmethod
    def parse(self, model: Path, weights: Path | None, network: Any) -> ParsedModel:
        """Fill `network` (a plugrt.Network). Raises ModelError naming file and line or offset."""


class PassPlugin(ABC):
    """A graph rewrite that belongs to no single layer (group `plugrt.passes`)."""

    name: ClassVar[str]
    stage: ClassVar[str] = "simplify"
    """`simplify` (before calibration) or `fuse` (per device)."""

    @abstractmethod
    def run(self, layers: Sequence[LayerNode]) -> Iterable[Patch]:
        """Patches for a graph whose layers come in execution order."""


class CalibratorPlugin(ABC):
    """A way to choose ranges for low precision (group `plugrt.calibrators`)."""

    name: ClassVar[str]

    @abstractmethod
    def observe(self, tensor: str, values: Array) -> None:
        """See one batch of a tensor's values, in float."""

    @abstractmethod
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """(low, high) of every tensor observed. Raises CalibrationError when undecidable."""


class Slots(ABC):
    """Buffers of one recording, numbered."""

    addresses: list[int]

    @abstractmethod
    def reserve(self, address: int = 0) -> int:
        """A new slot, whose address the recording is told before it is replayed."""

    @abstractmethod
    def bind(self, memory: Any) -> int:
        """The slot of memory that outlives the recording's calls, such as a constant."""


class Recording(ABC):
    """A stream that has been filled and can be replayed; one call at a time."""

    @abstractmethod
    def bind(self, slot: int, address: int) -> None:
        """Point a slot at another buffer."""

    @abstractmethod
    def replay(self, slots: Sequence[int] = ()) -> None:
        """Run with these buffer addresses, one per slot that was reserved, where they are given.

        It may return before the device is done. Raises DeviceError naming the layer.
        """

    @abstractmethod
    def replay_timed(self) -> list[tuple[int, float]]:
        """Run and wait: (number of the layer, seconds) of every part of the run."""

    def synchronize(self) -> None:  # noqa: B027 - devices that wait in `replay` need none
        """Wait for what `replay` began. Raises DeviceError naming the layer."""

    @property
    @abstractmethod
    def command_count(self) -> int:
        """Kernels and copies of one run."""


class DeviceSession(ABC):
    """A device at work for one engine: what its contexts share."""

    device: str
    """Name of the device: `TacticRequest.device`, `Stream.device`."""

    ordinal: int = 0
    """Which of the device's processors."""

    @property
    @abstractmethod
    def packed_bytes(self) -> int:
        """Bytes of packed weights made so far."""

    @property
    def weights(self) -> Sequence[Array]:
        """Packed weights in the host's memory."""
        return ()

    @abstractmethod
    def create_context(self, planned: Any, threads: int, **options: Any) -> Any:
        """An execution context for a planned network."""

    def compiled_code(
        self, planned: Any, threads: int, sizes: Mapping[str, int]
    ) -> Mapping[str, bytes]:
        """Machine code that running the network takes, for its plan, by keys of the device's own:
        64 hexadecimal digits each. `sizes` are those of inputs' symbols. Nothing by default."""
        return {}

    def lend_code(self, code: Mapping[str, bytes]) -> None:  # noqa: B027 - most have none
        """Code from a plan that is trusted, as `compiled_code` gave it, before the first context
        is made; for this session alone, whatever other engines are loaded. What was made for
        another version of a library or processor is of no use."""

    def stopwatch(
        self, planned: Any, threads: int, sizes: Mapping[str, int], lanes: int,
        sample: Callable[[TensorDesc], Array],
    ) -> Callable[[], float] | None:  # fmt: skip
        """What runs a planned network once at these sizes, so many layers beside each other, on
        inputs that `sample` makes, and returns seconds. None where less lanes would be in use,
        and where it cannot be told."""
        return None

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """Release what the engine no longer needs; contexts are closed."""


class DevicePlugin(ABC):
    """A device (group `plugrt.devices`): allocator, stream, recorder and timer.

    It is made with the number of the processor, 0 being the first one.
    """

    name: ClassVar[str]
    ordinal: int = 0

    @abstractmethod
    def fingerprint(self) -> Mapping[str, str]:
        """What tuning results depend on: processor, instruction sets, library versions. The
        entry "device" is the device's name."""

    @abstractmethod
    def formats(self) -> Sequence[Format]:
        """Formats worth trying on this device, the best first."""

    def narrow_floats(self) -> Sequence[DataType]:
        """Types below float32 that the hardware computes with, the best first."""
        return ()

    @abstractmethod
    def check(self) -> None:
        """Raise DeviceError, with what to do, where the device cannot be used."""

    def notes(self) -> Sequence[str]:
        """What a build's report should tell of the device, such as a library that it lacks."""
        return ()

    @abstractmethod
    def open(
        self, release: Callable[[], None] = lambda: None, cache: Any = None
    ) -> DeviceSession:
        """The device at work for one engine. `release` gives the memory of its constants back,
        `cache` has weights that earlier processes packed for the CPU. Raises DeviceError like
        `check`."""

    @abstractmethod
    def tuning_bench(self, registry: Any, threads: int) -> Any:
        """What layers are timed on (see core/tuning/bench.py)."""
