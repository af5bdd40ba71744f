"""What a plug-in costs: built-in layers against third-party twins in their place.

    python -m benchmarks.plugin_tax [--seconds 120] [--json benchmarks/results/plugin_tax.json]

Three engines of one net run in turns: A with the built-in layers, A2 the same once more (the
control: how well this machine can tell two equal engines apart), and B, in which every layer
that has a twin in the distribution plugrt-twins is denied and its twin used instead.

Tactics are chosen by measured times. Measuring A and B apart would let noise choose different
tactics, and then the tactics would be compared instead of the plug-ins. So A is measured once;
A2 takes A's timing cache as it is, and B takes it with the types' names exchanged in its keys:
apart from the type, the key of a twin's candidate must be equal to the built-in's, or B would
have to measure, which counts as a failure.

Where an engine's weights and buffers lie decides up to some percent of its speed. The engines
are therefore loaded anew from their plans several times, and the interval is bootstrapped over
those rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.alternating import Ratio, alternate
from benchmarks.machine import describe
from plugrt.core.builder.network_timer import SEPARATOR

REPOSITORY = Path(__file__).resolve().parent.parent
VENDOR = "Twins."
LIMIT = 0.01
"""The interval of a ratio must lie within 1 +- this."""

Fill = Callable[[plugrt.Network], None]


@dataclass(frozen=True)
class Net:
    """A Darknet net below PLUGRT_DATA; without weights they are random."""

    cfg: str
    weights: str | None = None

    def fill(self, network: plugrt.Network, data: Path) -> None:
        """Parse it into a network."""
        from yolo_example.parsing import DarknetParser

        if self.weights is None:
            DarknetParser(random_weights=1).parse(data / self.cfg, None, network)
        else:
            DarknetParser().parse(data / self.cfg, data / self.weights, network)


NETS = {
    "yolo-fastest-1.1": Net(
        "darknet/models/yolo-fastest-1.1/yolo-fastest-1.1.cfg",
        "darknet/models/yolo-fastest-1.1/yolo-fastest-1.1.weights",
    ),
    "yolov3-tiny": Net("darknet/cfg/pjreddie/yolov3-tiny.cfg"),
}


@contextmanager
def twins_installed() -> Iterator[plugrt.Registry]:
    """A registry that knows the twins; they are installed by pip into a passing folder."""
    tests = REPOSITORY / "tests"
    with tempfile.TemporaryDirectory() as folder:
        script = [sys.executable, str(tests / "build_wheel.py"), str(tests / "third_party_package")]
        result = subprocess.run([*script, folder], check=True, stdout=subprocess.PIPE, text=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        offline = ["--no-index", "--no-deps", "--target", folder]
        subprocess.run([*pip, *offline, result.stdout.strip()], check=True)
        sys.path.insert(0, folder)
        try:
            yield plugrt.Registry.discover()
        finally:
            sys.path.remove(folder)


def twins_of(registry: plugrt.Registry) -> dict[str, str]:
    """Layer type -> its twin's."""
    names = registry.names("layers")
    own_names = {name.rpartition(".")[2]: name for name in names if not name.startswith(VENDOR)}
    twins = {name.removeprefix(VENDOR): name for name in names if name.startswith(VENDOR)}
    return {own_names[name]: twin for name, twin in twins.items() if name in own_names}


def taken_over(registry: plugrt.Registry, twins: Mapping[str, str]) -> plugrt.Registry:
    """A registry in which the twins stand for the layers, which are denied."""
    local = plugrt.Registry(registry)
    for original, twin in twins.items():
        local.deny(original)
        local.substitute(original, by=twin)
    return local


def renamed(cache: plugrt.TimingCache, twins: Mapping[str, str]) -> plugrt.TimingCache:
    """The same times for the twins: a key, or each of its parts, begins with a layer's type."""
    result = plugrt.TimingCache(cache.fingerprint)
    for key, seconds in cache.seconds.items():
        parts = [part.partition("/") for part in key.split(SEPARATOR)]
        text = SEPARATOR.join(twins.get(name, name) + slash + rest for name, slash, rest in parts)
        result.seconds[text] = seconds
    return result


@dataclass
class Contestants:
    """The three engines of one net."""

    engines: dict[str, plugrt.Engine]
    registries: dict[str, plugrt.Registry]
    layers: dict[str, list[str]]
    """Types of the layers in each network, before anything was fused."""
    remeasured: list[str] = field(default_factory=list)
    """Keys of times that B's build could not find in the cache."""


def build_contestants(
    fill: Fill, registry: plugrt.Registry, twins: Mapping[str, str], threads: int
) -> Contestants:
    """A, its control A2, and B."""

    found = Contestants({}, {}, {})

    def build(name: str, registry: plugrt.Registry, cache: plugrt.TimingCache) -> None:
        network = plugrt.Network("net", registry)
        fill(network)
        found.registries[name] = registry
        found.layers[name] = [layer.plugin.type for layer in network.layers]
        config = plugrt.BuilderConfig(threads=threads, max_batch_size=1, timing_cache=cache)
        found.engines[name] = plugrt.build(network, config)

    cache = plugrt.TimingCache(fingerprint(registry))
    build("A", registry, cache)
    build("A2", registry, cache)
    shared = renamed(cache, twins)
    known = set(shared.seconds)
    build("B", taken_over(registry, twins), shared)
    found.remeasured = sorted(set(shared.seconds) - known)
    return found


def fingerprint(registry: plugrt.Registry) -> Mapping[str, str]:
    """The device that times belong to, as an engine tells it."""
    network = plugrt.Network("empty", registry)
    network.mark_output(network.add_layer("ReLU", [network.add_input("x", "float32", [1])]).output)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        return engine.info.fingerprint


def anatomy(engine: plugrt.Engine, inputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What must not differ: commands, arena, tactics, formats, fusions; types are named apart."""
    network = engine.planned.network
    with engine.create_context() as context:
        outputs = context.execute(inputs)
        recording = context.recording({name: array.shape for name, array in inputs.items()})
        return {
            "commands": recording.commands,
            "arena_bytes": recording.plan.arena_size,
            "fusions": {layer.name: layer.fused for layer in network.layers if layer.fused},
            "tactics": {layer.name: layer.plugin.tactic.name for layer in network.layers},
            "formats": {t.name: t.format.value for t in network.tensors.values()},
            "slices": {
                layer.name: sorted(found.slices)
                for layer, found in engine.planned.aliasing.items()
                if found.slices
            },
            "outputs": {name: array.tobytes() for name, array in outputs.items()},
        }


def measure(
    contestants: Contestants, inputs: Mapping[str, np.ndarray], seconds: float, rounds: int
) -> tuple[dict[str, list[np.ndarray]], int]:
    """Medians of blocks of calls, for each engine one array per round; and the blocks in all."""
    names = sorted(contestants.engines)
    plans = {name: engine.to_bytes() for name, engine in contestants.engines.items()}
    times: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for number in range(rounds):
        shift = number % len(names)
        order = names[shift:] + names[:shift]  # nobody always has the first pages or turns
        with ExitStack() as stack:
            runs: dict[str, Callable[[], object]] = {}
            for name in order:
                engine = plugrt.Engine.from_bytes(plans[name], contestants.registries[name])
                context = stack.enter_context(stack.enter_context(engine).create_context())
                runs[name] = partial(context.execute, inputs)
            for name, blocks in alternate(runs, seconds / rounds).items():
                times[name].append(blocks)
    return times, sum(map(len, times[names[0]]))


def paired_ratio(
    ours: list[np.ndarray], theirs: list[np.ndarray], samples: int = 4000
) -> Ratio:
    """ours / theirs: the median of neighbouring blocks' ratios, and its 95 % interval by a
    two-stage bootstrap: of rounds, then of blocks within each. A median, because on a shared
    machine a neighbour may spoil whole rounds."""
    rounds = [np.log(mine / other) for mine, other in zip(ours, theirs, strict=True)]
    random = np.random.default_rng(0)
    estimates = np.empty(samples)
    for k in range(samples):
        drawn = random.integers(0, len(rounds), len(rounds))
        blocks = [random.choice(rounds[number], len(rounds[number])) for number in drawn]
        estimates[k] = np.median(np.concatenate(blocks))
    low, high = np.percentile(estimates, [2.5, 97.5])
    value = float(np.median(np.concatenate(rounds)))
    return Ratio(float(np.exp(value)), float(np.exp(low)), float(np.exp(high)))


def tax(
    name: str, fill: Fill, registry: plugrt.Registry, twins: Mapping[str, str], threads: int,
    seconds: float, rounds: int,
) -> dict[str, Any]:
    """One net: what differs between A and B, and the ratios B/A and A2/A."""
    contestants = build_contestants(fill, registry, twins, threads)
    with ExitStack() as stack:
        for engine in contestants.engines.values():
            stack.enter_context(engine)
        engines = contestants.engines
        ((input_name, desc),) = engines["A"].inputs.items()
        image = np.random.default_rng(0).random((1, *desc.shape[1:]), np.float32)
        inputs = {input_name: image}
        plans = {key: anatomy(engine, inputs) for key, engine in engines.items()}
        differing = sorted(k for k in plans["A"] if plans["A"][k] != plans["B"][k])
        used = {p.type for p in engines["B"].layers.values()} | set(contestants.layers["B"])
        leftover = used & set(twins)
        times, blocks = measure(contestants, inputs, seconds, rounds)
    ratios = {f"{n}/A": paired_ratio(times[n], times["A"]) for n in ("B", "A2")}
    within = all(r.low >= 1 - LIMIT and r.high <= 1 + LIMIT for r in ratios.values())
    return {
        "net": name,
        "batch": 1,
        "threads": threads,
        "twins": {t: contestants.layers["B"].count(t) for t in sorted(used & set(twins.values()))},
        "denied_types_left": sorted(leftover),
        "commands": {n: p["commands"] for n, p in plans.items()},
        "arena_bytes": {n: p["arena_bytes"] for n, p in plans.items()},
        "fusions": {n: sum(map(len, p["fusions"].values())) for n, p in plans.items()},
        "differing": differing,
        "outputs_bit_equal": "outputs" not in differing,
        "times_measured_for_B": len(contestants.remeasured),
        "keys_measured_for_B": contestants.remeasured,
        "blocks": blocks,
        "rounds": rounds,
        "median_ms": {
            n: round(float(np.median(np.concatenate(t))) * 1e3, 4) for n, t in times.items()
        },
        "latency_ratio": {n: r.as_dict() for n, r in ratios.items()},
        "within_1_percent": within,
        "passed": within and not differing and not leftover and not contestants.remeasured,
    }


def main() -> int:
    """Command line; the exit status is 0 when every net passes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS), default=sorted(NETS))
    parser.add_argument("--seconds", type=float, default=120.0, help="per net (default 120)")
    parser.add_argument("--rounds", type=int, default=24, help="engines are loaded anew in each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    data = os.environ.get("PLUGRT_DATA")
    if not data:
        parser.error("set PLUGRT_DATA to the folder of models and pictures")
    results = []
    with twins_installed() as registry:
        twins = twins_of(registry)
        for name in options.nets:
            results.append(
                tax(
                    name, lambda network, n=name: NETS[n].fill(network, Path(data)), registry,
                    twins, options.threads, options.seconds, options.rounds,
                )
            )  # fmt: skip
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        report = {"machine": describe("plugrt-yolo", "onednn-cpu-gomp", "numpy"), "nets": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
