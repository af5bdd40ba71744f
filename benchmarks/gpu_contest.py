"""Engines of one network with built-in layers and with twins, at work on a GPU in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

import plugrt
from benchmarks.asked_times import AskedTimes, tell_of_networks, without_digest
from benchmarks.plugin_tax import renamed, taken_over
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.device import CudaDevice
from plugrt.core.devices.cuda.events import Event
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins.native.cuda import Context

Make = Callable[[plugrt.Registry], plugrt.Network]

CALLS = 20
"""Between two events."""

LEAST_BLOCKS = 10


class Contestant:
    """An engine at work on an array of the GPU."""

    def __init__(self, engine: plugrt.Engine, inputs: Mapping[str, np.ndarray]) -> None:
        self._stack = ExitStack()
        context = self._stack.enter_context(self._stack.enter_context(engine).create_context())
        assert isinstance(context, CudaContext)
        self._context = context
        gpu = Context.of(0)
        self._feeds = {}
        for name, array in inputs.items():
            buffer = DeviceBuffer.of(gpu, array)
            self._feeds[name] = DeviceArray(buffer.address, array.shape, array.dtype, 0, buffer)
        self._events = [Event(gpu, timing=True) for _ in range(2)]

    def block(self) -> float:
        """Seconds of one call on the GPU, in a row of CALLS."""
        before, after = self._events
        stream = self._context.stream
        before.record(stream)
        for _ in range(CALLS):
            self._context.execute(self._feeds, "device")
        after.record(stream)
        after.synchronize()
        return after.seconds_since(before) / CALLS

    def close(self) -> None:
        """Release the context and the engine."""
        self._context.synchronize()
        self._stack.close()


class Contest:
    """The engines of one net."""

    def __init__(
        self, make: Make, registry: plugrt.Registry, twins: Mapping[str, str], options: Any
    ) -> None:
        self._make = make
        self._options = options
        self.registries = {"A": registry, "A2": registry, "B": taken_over(registry, twins)}
        cache = plugrt.TimingCache(CudaDevice().fingerprint())
        start = time.perf_counter()
        self._build(registry, cache, "fast", options.tune_time).close()
        self.tuning_seconds = time.perf_counter() - start
        self.times_measured = len(cache.seconds)
        self.engines: dict[str, plugrt.Engine] = {}
        self.asked: dict[str, AskedTimes] = {}
        self._build_from("A", cache)
        self._build_from("A2", cache)
        shared = renamed(cache, twins)
        self._build_from("B", shared)
        self.engines.pop("B").close()
        tell_of_networks(shared, cache.seconds, self.asked["B"].missing)
        self._build_from("B", shared)
        missing = plugrt.TimingCache(cache.fingerprint)
        missing.seconds = dict.fromkeys(self.asked["A"].missing, 0.0)
        ours, theirs = renamed(missing, twins).seconds, self.asked["B"].missing
        self.asked_alike = set(map(without_digest, ours)) == set(map(without_digest, theirs))

    def _build_from(self, name: str, cache: plugrt.TimingCache) -> None:
        """An engine by these times alone."""
        known = plugrt.TimingCache(cache.fingerprint)
        known.seconds = self.asked[name] = AskedTimes(cache.seconds)
        self.engines[name] = self._build(self.registries[name], known, "off", None)

    def _build(
        self, registry: plugrt.Registry, cache: plugrt.TimingCache, tune: str,
        tune_time: float | None,
    ) -> plugrt.Engine:  # fmt: skip
        config = plugrt.BuilderConfig(
            device="cuda", precision=self._options.precision, max_batch_size=1, tune=tune,
            tune_time=tune_time, timing_cache=cache,
        )  # fmt: skip
        return plugrt.build(self._make(registry), config)

    def measure(self, inputs: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
        """Blocks' seconds of each engine, one array per round; engines are loaded in each."""
        rounds, seconds = self._options.rounds, self._options.seconds
        plans = {name: engine.to_bytes() for name, engine in self.engines.items()}
        names = sorted(plans)
        times: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for number in range(rounds):
            order = names[number % len(names) :] + names[: number % len(names)]
            with self._loaded(order, plans, inputs) as contestants:
                for name, blocks in alternate(contestants, seconds / rounds).items():
                    times[name].append(blocks)
        return times

    @contextmanager
    def _loaded(
        self, order: list[str], plans: Mapping[str, bytes], inputs: Mapping[str, np.ndarray]
    ) -> Iterator[dict[str, Contestant]]:
        found: dict[str, Contestant] = {}
        try:
            for name in order:
                engine = plugrt.Engine.from_bytes(plans[name], self.registries[name])
                found[name] = Contestant(engine, inputs)
            yield found
        finally:
            for contestant in found.values():
                contestant.close()

    def close(self) -> None:
        """Release the engines."""
        for engine in self.engines.values():
            engine.close()


def alternate(
    contestants: Mapping[str, Contestant], seconds: float
) -> dict[str, np.ndarray]:
    """Blocks in turns, every second turn in reverse order."""
    for contestant in contestants.values():
        for _ in range(3):
            contestant.block()
    found: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[order[0]]) < LEAST_BLOCKS:
        for name in order:
            found[name].append(contestants[name].block())
        order.reverse()
    return {name: np.array(values) for name, values in found.items()}
