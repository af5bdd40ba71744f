"""Images per second of each engine's throughput mode: python -m benchmarks.throughput --json FILE

plugrt's ThroughputPool against ONNX Runtime called by several threads and OpenVINO's asynchronous
queue with the hint THROUGHPUT; batch 1. They take turns as in benchmarks.latency.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Cell, select
from benchmarks.engine_process import OURS, EngineError, EngineProcess, installed, ready_plan
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.results_file import ResultsFile, starts_anew
from benchmarks.rounds import Effort, alternate, peer_by_ours

MODELS = ("lenet", "mobilenetv2", "squeezenet1.1", "googlenet", "resnet50", "yolov3-tiny")
PEERS = ("onnxruntime", "openvino")


def cells() -> list[Cell]:
    """Batch 1, plans for one thread: each context has one."""
    return select(MODELS, [1], [1], peers=PEERS)


def measure(cell: Cell, effort: Effort) -> dict[str, Any]:
    """Images per second, and how many times the peers' plugrt's are."""
    ready_plan(cell)
    contestants: list[EngineProcess] = []
    try:
        for kind in (OURS, *installed(cell.peers)):
            contestants.append(EngineProcess(cell, kind, "benchmarks.throughput_contestant"))
        for contestant in contestants:
            contestant.wait()
        turns = alternate(contestants[0], contestants[1:], effort)
    finally:
        for contestant in contestants:
            contestant.close()
    return {
        **cell.as_dict(),
        "images_per_second": {k: round(float(1 / np.median(t)), 2) for k, t in turns.items()},
        "rounds": {kind: len(times) for kind, times in turns.items()},
        "ours_by_peer": {k: r.as_dict() for k, r in peer_by_ours(turns, OURS).items()},
    }


def main() -> int:
    """Command line; status 1 when a peer is faster, beyond doubt, or a cell failed."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.throughput", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--nets", "--only", nargs="+", choices=sorted(NETS))
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--seconds", type=float, default=20.0, help="of turns per cell, at most")
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    options = parser.parse_args()
    machine = describe("onnxruntime", "openvino", "onednn-cpu-gomp")
    anew = starts_anew(options)
    results = ResultsFile(options.json, machine, cells(), anew=anew)
    effort = Effort(seconds=options.seconds, turn_seconds=0.5, most_calls=20_000, scout_rounds=3)
    missed = 0
    for cell in cells():
        if cell.net not in (options.nets or MODELS):
            continue
        if cell.precision not in (options.precisions or (cell.precision,)):
            continue
        if options.resume and cell in results:
            continue
        start = time.perf_counter()
        try:
            row = measure(cell, effort)
        except EngineError as error:
            missed += 1
            print(f"{cell.name}: {error}", flush=True)
            continue
        results.put(row)
        missed += any(ratio["high"] < 1 for ratio in row["ours_by_peer"].values())
        print(f"{cell.name} ({time.perf_counter() - start:.0f} s): {row['images_per_second']} "
              f"images/s, {row['ours_by_peer']}", flush=True)  # fmt: skip
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
