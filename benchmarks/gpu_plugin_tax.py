"""What a plug-in costs on a GPU: built-in layers against third-party twins in their place.

    python -m benchmarks.gpu_plugin_tax [--nets yolov3-tiny squeezenet] [--seconds 8]
        [--json benchmarks/results/gpu_plugin_tax.json]

Three engines of one net, as in `plugin_tax`: A with the built-in layers, its control A2, and B
with every layer denied that has a twin in the distribution plugrt-twins. The net is tuned once,
with the built-in layers; all three are then built from these times alone. B must ask for the very
times that A asks for, its types' names apart, and the three plans must be equal in tactics,
formats, fusions, arena and graph nodes, and their outputs in every bit.

Blocks of calls whose arrays lie on the GPU are timed in turns between two CUDA events on the
context's stream. Engines are loaded anew several times, as where weights lie matters.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.machine import describe_gpu
from benchmarks.nets.squeezenet import squeezenet
from benchmarks.nets.to_plugrt import to_plugrt
from benchmarks.plugin_tax import (
    LIMIT,
    NETS,
    anatomy,
    paired_ratio,
    renamed,
    taken_over,
    twins_installed,
    twins_of,
)
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


class AskedTimes(dict[str, float]):
    """A timing cache's times, and the keys that a build asked for in vain."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        super().__init__(seconds)
        self.missing: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self.missing.add(key)
        return super().get(key, default)


def without_digest(key: str) -> str:
    """A key without what tells the types of a whole network's layers."""
    return re.sub(r"^(network .* layers) [0-9a-f]+", r"\1", key)


def networks_of(keys: Iterable[str]) -> list[str]:
    """The whole networks that keys are of; each ends in a digest of its layers' types."""
    found = (key.rpartition(" lanes=") for key in keys if key.startswith("network "))
    return sorted({network for network, lanes, _ in found if lanes})


def tell_of_networks(
    cache: plugrt.TimingCache, times: Mapping[str, float], asked: Iterable[str]
) -> None:
    """Give the times of whole networks to those that were asked for in vain."""
    for ours, theirs in zip(networks_of(times), networks_of(asked), strict=True):
        cache.seconds.update(
            {key.replace(ours, theirs): value for key, value in times.items() if ours in key}
        )


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


def tax(
    name: str, make: Make, registry: plugrt.Registry, twins: Mapping[str, str], options: Any
) -> dict[str, Any]:
    """One net: what differs between A and B, and the ratios B/A and A2/A."""
    contest = Contest(make, registry, twins, options)
    ((input_name, desc),) = contest.engines["A"].inputs.items()
    image = np.random.default_rng(0).random((1, *desc.shape[1:]), np.float32)
    inputs = {input_name: image}
    plans = {key: anatomy(engine, inputs) for key, engine in contest.engines.items()}
    differing = sorted(k for k in plans["A"] if plans["A"][k] != plans["B"][k])
    used = [plugin.type for plugin in contest.engines["B"].layers.values()]
    leftover = sorted(set(used) & set(twins))
    times = contest.measure(inputs)
    ratios = {f"{n}/A": paired_ratio(times[n], times["A"]) for n in ("B", "A2")}
    within = all(r.low >= 1 - LIMIT and r.high <= 1 + LIMIT for r in ratios.values())
    result = {
        "net": name,
        "batch": 1,
        "precision": options.precision,
        "twins": {t: used.count(t) for t in sorted(set(used) & set(twins.values()))},
        "denied_types_left": leftover,
        "graph_nodes": {n: p["commands"] for n, p in plans.items()},
        "arena_bytes": {n: p["arena_bytes"] for n, p in plans.items()},
        "fusions": {n: sum(map(len, p["fusions"].values())) for n, p in plans.items()},
        "differing": differing,
        "outputs_bit_equal": "outputs" not in differing,
        "times_measured_with_A": contest.times_measured,
        "tuning_seconds": round(contest.tuning_seconds, 1),
        "times_measured_for_B": 0,
        "asked_for_the_same_times": contest.asked_alike,
        "blocks": sum(map(len, times["A"])),
        "calls_in_a_block": CALLS,
        "rounds": options.rounds,
        "median_ms": {
            n: round(float(np.median(np.concatenate(t))) * 1e3, 5) for n, t in times.items()
        },
        "latency_ratio": {n: r.as_dict() for n, r in ratios.items()},
        "within_1_percent": within,
        "passed": within and not differing and not leftover and contest.asked_alike,
    }
    contest.close()
    return result


def maker(name: str) -> Make:
    """What makes a net. Raises SystemExit without PLUGRT_DATA for Darknet's."""
    if name == "squeezenet":
        return lambda registry: to_plugrt(squeezenet(), 1, registry)
    data = os.environ.get("PLUGRT_DATA")
    if not data:
        raise SystemExit(f"{name}: set PLUGRT_DATA to the folder of models and pictures")

    def make(registry: plugrt.Registry) -> plugrt.Network:
        network = plugrt.Network(name, registry)
        NETS[name].fill(network, Path(data))
        return network

    return make


@contextmanager
def registry_with_twins() -> Iterator[plugrt.Registry]:
    """The twins that are installed, or else installed for now."""
    registry = plugrt.Registry.discover()
    if twins_of(registry):
        yield registry
        return
    with twins_installed() as found:
        yield found


def main() -> int:
    """Command line; the exit status is 0 when every net passes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = sorted([*NETS, "squeezenet"])
    parser.add_argument("--nets", nargs="+", choices=known, default=["yolov3-tiny", "squeezenet"])
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--seconds", type=float, default=8.0, help="of measuring per net")
    parser.add_argument("--rounds", type=int, default=8, help="engines are loaded anew in each")
    parser.add_argument("--tune-time", type=float, help="seconds for tuning each net once")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    results = []
    makers = {name: maker(name) for name in options.nets}
    with registry_with_twins() as registry:
        twins = twins_of(registry)
        for name, make in makers.items():
            results.append(tax(name, make, registry, twins, options))
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        report = {"machine": describe_gpu("plugrt-yolo", "numpy"), "nets": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
