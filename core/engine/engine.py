"""An engine: an optimised network, ready to run in any number of contexts."""

from __future__ import annotations

import mmap
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Union

from ...plugin_registry import Registry
from ...plugins import (
    Array,
    DeviceSession,
    LayerPlugin,
    PlanError,
    PlugrtError,
    TensorDesc,
)
from ..atomic_file import write_atomically
from ..devices.opening import device_named
from ..explanation import Explanation
from ..graph import Layer
from ..graph.naming import naming_layer
from ..runtime.context import ExecutionContext
from ..runtime.plan_source import PlanSource
from ..runtime.planned import PlannedNetwork
from .loading import load_plan
from .plan import EngineInfo, write_plan

PathLike = Union[str, "os.PathLike[str]"]


class Engine:
    """Made by `plugrt.build` or `Engine.load`; shared by contexts, safe from several threads.

    Closing it (or leaving its `with` block) calls `terminate` on every plug-in.
    """

    def __init__(
        self, planned: PlannedNetwork, info: EngineInfo, report: Sequence[str] = (),
        explanation: Explanation | None = None,
        session: DeviceSession | None = None,
    ) -> None:  # fmt: skip
        self.planned = planned
        self.info = info
        self.report = tuple(report)
        """What the build did to each layer, line by line; empty for a loaded engine."""
        self.explanation = explanation or Explanation()
        """The same as data, layer by layer; empty for a loaded engine."""
        self._initialised: list[Layer] = []
        self._closed = False
        self._session = session or device_named(info.device).open()
        self._initialise(planned)

    # ---- plans ----------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The plan: everything needed to run, plug-in state inside. For a GPU also the machine
        code that was compiled; an engine that nobody has run is run once for it, on zeros."""
        code: Mapping[str, bytes] = {}
        if not self._closed:
            sizes = {name: best for name, (_, best, _) in self.info.profiles.items()}
            code = self._session.compiled_code(self.planned, self.info.threads, sizes)
        return write_plan(self.planned, self.info, code)

    def save(self, path: PathLike) -> None:
        """Write the plan beside its place and rename it, so that no half file is ever seen."""
        write_atomically(Path(path), self.to_bytes())

    @classmethod
    def from_bytes(
        cls, data: bytes, registry: Registry | None = None, *, device: str | None = None,
        trusted: bool = False,
    ) -> Engine:  # fmt: skip
        """Load a plan from memory; see `load`."""
        view = memoryview(data)
        return cls._from_view(view, registry, device, trusted, PlanSource(view))

    @classmethod
    def load(
        cls, path: PathLike, registry: Registry | None = None, *, device: str | None = None,
        trusted: bool = False,
    ) -> Engine:  # fmt: skip
        """Load a plan file; weights stay memory-mapped, and those that were packed leave memory.

        `device` is where it shall run, such as "cpu" or "cuda:1"; by default the kind of device
        that the plan is for, or the CPU with a warning where there is none.
        `trusted` runs the machine code for GPUs that the plan carries, where it fits this GPU and
        its libraries, rather than compile it anew: for files whose author's programs you would run.
        A plan from another machine runs with a warning; where its formats, types or tactics are
        not possible here, rules choose others. `plugrt.retune` measures. Raises PlanError for a
        damaged or newer file, and for plug-ins that are not installed, naming their
        distribution and version, and DeviceError for a `device` that cannot be used.
        """
        try:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                if state.st_size == 0:
                    raise PlanError(f"plan {os.fspath(path)} is empty; build it again")
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise PlanError(f"plan {os.fspath(path)} cannot be read: {error.strerror}") from None
        view = memoryview(mapped)
        try:
            return cls._from_view(
                view, registry, device, trusted, PlanSource(view, state),
                lambda: mapped.madvise(mmap.MADV_DONTNEED),
            )
        except PlanError as error:
            raise PlanError(f"{os.fspath(path)}: {error}") from error.__cause__

    @classmethod
    def _from_view(
        cls, view: memoryview, registry: Registry | None, device: str | None, trusted: bool,
        source: PlanSource, release: Callable[[], None] = lambda: None,
    ) -> Engine:  # fmt: skip
        registry = registry if registry is not None else Registry.default()
        found = load_plan(view, registry, device, source, release, trusted)
        for text in found.warnings:
            warnings.warn(text, RuntimeWarning, stacklevel=3)
        return cls(found.planned, found.info, found.report, found.explanation, found.session)

    # ---- use ------------------------------------------------------------------------------

    def create_context(
        self, threads: int | None = None, *, processors: Sequence[int] | None = None,
        spin_seconds: float = 0.0,
    ) -> ExecutionContext:  # fmt: skip
        """A context with its own memory. `threads` is its team size, by default the build's.

        `processors` pins the team's threads during calls, one processor each in this order.
        `spin_seconds` keeps the team awake for so long after each call, on processors that
        others then miss: for calls that come at intervals, as a camera's pictures do. A thread
        of the context's own makes the calls then, which costs tens of microseconds each.

        Raises PlugrtError for less than one thread, processors that this process may not use,
        a negative time, and when the engine is closed. On a GPU `threads` is the team of
        layers that run on the host, and the other options are refused.
        """
        if self._closed:
            raise PlugrtError("the engine is closed; load it again")
        count = self.info.threads if threads is None else threads
        if count < 1:
            raise PlugrtError(f"threads={count} is not possible; use 1 or more")
        if not 0 <= spin_seconds < inf:
            raise PlugrtError(f"spin_seconds={spin_seconds} is not possible; use 0 or more")
        made: ExecutionContext = self._session.create_context(
            self.planned, count, limits=self._limits(), engine=self, processors=processors,
            spin_seconds=spin_seconds,
        )
        return made

    def stopwatch(
        self, sizes: Mapping[str, int], sample: Callable[[TensorDesc], Array]
    ) -> Callable[[], float] | None:
        """What runs the network once by the device's own clock, and returns seconds; None where the
        device has none. `sizes` are those of its inputs' symbols, `sample` makes contents."""
        return self._session.stopwatch(self.planned, self.info.threads, sizes, 1, sample)

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or "cuda:1" for the second GPU."""
        session = self._session
        return f"{session.device}:{session.ordinal}" if session.ordinal else session.device

    @property
    def inputs(self) -> dict[str, TensorDesc]:
        """Type and shape of every input; symbolic where the size is free."""
        return {t.name: t.desc for t in self.planned.network.inputs}

    @property
    def outputs(self) -> dict[str, TensorDesc]:
        """Type and shape of every output."""
        network = self.planned.network
        return {n: t.desc for n, t in zip(network.output_names, network.outputs, strict=True)}

    @property
    def layers(self) -> dict[str, LayerPlugin]:
        """The plug-in instance of every layer, in execution order. Do not change them."""
        return {layer.name: layer.plugin for layer in self.planned.network.layers}

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the network's author wanted its users to know, such as `class_names`."""
        return self.info.metadata

    @property
    def packed_bytes(self) -> int:
        """Bytes of packed weights made so far, beside the plan's own."""
        return self._session.packed_bytes

    @property
    def weights(self) -> list[Array]:
        """Every constant, and every packed form made so far."""
        plain = [
            tensor.value for tensor in self.planned.network.tensors.values()
            if tensor.is_constant and tensor.value is not None
        ]  # fmt: skip
        return [*plain, *self._session.weights]

    @property
    def closed(self) -> bool:
        """True once `close` has been called."""
        return self._closed

    def close(self) -> None:
        """Release every plug-in. Close contexts first.

        Raises PlugrtError naming the first layer whose `terminate` fails; all are asked.
        """
        self._closed = True
        errors: list[PlugrtError] = []
        while self._initialised:
            layer = self._initialised.pop()
            try:
                with naming_layer(layer.name, layer.plugin, "terminate()"):
                    layer.plugin.terminate()
            except PlugrtError as error:
                errors.append(error)
        self._session.close()
        if errors:
            raise errors[0]

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_initialised", None):
            self.close()

    def _limits(self) -> dict[str, tuple[int, int]]:
        return {name: (low, high) for name, (low, _, high) in self.info.profiles.items()}

    def _initialise(self, planned: PlannedNetwork) -> None:
        for layer in planned.network.layers:
            self._initialised.append(layer)  # terminate() follows a failure too
            try:
                with naming_layer(layer.name, layer.plugin, "initialize()"):
                    layer.plugin.initialize()
            except BaseException:
                with suppress(PlugrtError):  # the first failure counts
                    self.close()
                raise
        for body in planned.bodies.values():
            self._initialise(body)
