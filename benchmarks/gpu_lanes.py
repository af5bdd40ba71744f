"""Layers beside each other on a GPU: python -m benchmarks.gpu_lanes --json FILE

Every net is built once per batch and recorded for one to four lanes; the recordings take turns,
timed by the GPU's clock, with arrays that stay there. A row tells what a graph has and what it
takes, and which number of lanes the build chose.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.cells import Cell
from benchmarks.machine import describe_gpu
from benchmarks.nets import NETS
from benchmarks.nets.narrow import narrow
from benchmarks.nets.to_plugrt import to_plugrt
from benchmarks.prepared import PreparedFiles
from plugrt.core.atomic_file import write_atomically
from plugrt.core.devices.cuda import DeviceWeights
from plugrt.core.devices.cuda.whole_network import WholeNetwork
from plugrt.plugins import Array, TensorDesc
from plugrt.plugins.native.cuda import Context

BRANCHED = ("resnet50", "yolov3", "googlenet", "squeezenet1.1")
BATCHES = (1, 8)
LANES = (1, 2, 3, 4)
ROUNDS = 25


def _sample(desc: TensorDesc) -> Array:
    numbers = np.random.default_rng(0).random(desc.sizes, np.float32)
    return numbers.astype(desc.dtype.numpy)


def measure(net: str, batch: int, precision: str, tune: str) -> Iterator[dict[str, Any]]:
    """A row for every number of lanes that the net can use."""
    config = plugrt.BuilderConfig(
        device="cuda", precision=precision, tune=tune,
        timing_cache=PreparedFiles(Cell(net, batch, 1, precision, ())).timing_cache,
    )  # fmt: skip
    with plugrt.build(to_plugrt(narrow(NETS[net]()), batch), config) as engine:
        weights = DeviceWeights(Context.of(0))
        sizes = dict.fromkeys(engine.planned.network.free_symbols, batch)
        found: dict[int, WholeNetwork] = {}
        for count in LANES:
            whole = WholeNetwork(engine.planned, weights, 1, sizes, count, _sample)
            found.setdefault(whole.lanes, whole)
        watches = {lanes: whole.stopwatch() for lanes, whole in found.items()}
        times: dict[int, list[float]] = {lanes: [] for lanes in watches}
        for _ in range(ROUNDS):
            for lanes, watch in watches.items():
                times[lanes].append(watch())
        for lanes, whole in found.items():
            instance = whole.recording.instance()
            yield {
                "net": net, "batch": batch, "precision": precision, "tune": tune,
                "lanes": lanes, "chosen": engine.planned.lanes,
                "median_ms": round(float(np.median(times[lanes])) * 1e3, 4),
                "least_ms": round(min(times[lanes]) * 1e3, 4),
                "nodes": instance.nodes, "edges": instance.edges,
                "arena_mib": round(whole.arrangement.plan.arena_size / 2**20, 2),
            }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.gpu_lanes")
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS), default=BRANCHED)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--tune", default="fast", choices=("fast", "full", "off"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for net in options.nets:
        for batch in options.batches:
            for row in measure(net, batch, options.precision, options.tune):
                print(*row.values(), flush=True)
                rows.append(row)
    if options.json is not None:
        text = json.dumps({"machine": describe_gpu(), "rows": rows}, indent=1)
        write_atomically(options.json, f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
