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
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.gpu_contest import CALLS, Contest, Make
from benchmarks.machine import describe_gpu
from benchmarks.nets.squeezenet import squeezenet
from benchmarks.nets.to_plugrt import to_plugrt
from benchmarks.plugin_tax import LIMIT, NETS, anatomy, paired_ratio, twins_installed, twins_of


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
