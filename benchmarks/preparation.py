"""Build and load times beside the peers' times to compile: python -m benchmarks.preparation

Batch 1, 2 threads. plugrt builds untuned, tuned with an empty timing cache, and from that cache;
the plan is then loaded, and the peers load the ONNX file, each in new processes: plugrt without
its cache of packed weights (`plugrt_first`) and with what the load before has left there.
torch.compile starts with an empty cache. Imports are timed apart; files are in the system's cache.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cells import Cell, all_cells, select
from benchmarks.engine_process import (
    OURS,
    OURS_FIRST,
    EngineError,
    EngineProcess,
    build_plan,
    installed,
    ready_plan,
)
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.results_file import ResultsFile, starts_anew

LOADS = 5
"""New processes per engine; of torch.compile, which takes long, there is one."""

LIMITS = {"untuned": 1.0, "tuned": 60.0, "from_timing_cache": 2.0, "load": 0.1}
"""The most seconds for resnet50; `load` is until the first result of a plan loaded before."""


def measure(cell: Cell) -> dict[str, Any]:
    """Seconds of builds and, by contestant, of import, load and first call."""
    start = _our_starts(cell)
    start |= {kind: _start(cell, kind, LOADS) for kind in installed(_quick(cell))}
    for kind in installed(tuple(p for p in cell.peers if p not in _quick(cell))):
        start[kind] = _start(cell, kind, 1)
    return {**cell.as_dict(), "build_seconds": _build(cell), "start_seconds": start}


def _quick(cell: Cell) -> tuple[str, ...]:
    return tuple(peer for peer in cell.peers if peer != "torch_compile")


def _build(cell: Cell) -> dict[str, float]:
    with TemporaryDirectory() as name:
        plan, cache = Path(name, "model.plan"), Path(name, "times.json")
        seconds = {
            "untuned": build_plan(cell, plan, None, tune="off"),
            "tuned": build_plan(cell, plan, cache),
            "from_timing_cache": build_plan(cell, plan, cache),
        }
    return {way: round(value, 3) for way, value in seconds.items()}


def _our_starts(cell: Cell) -> dict[str, dict[str, float]]:
    """Those of first loads, in turns with loads that find what the first has packed."""
    ready_plan(cell)
    found: dict[str, list[dict[str, float]]] = {OURS: [], OURS_FIRST: []}
    for _ in range(LOADS):
        with TemporaryDirectory() as empty:
            for kind in (OURS_FIRST, OURS):
                found[kind].append(_one_start(cell, OURS, {"PLUGRT_PACKED_CACHE": empty}))
    return {kind: _medians(starts) for kind, starts in found.items()}


def _start(cell: Cell, kind: str, times: int) -> dict[str, float]:
    """Medians over new processes, one after the other."""
    found: list[dict[str, float]] = []
    for _ in range(times):
        with TemporaryDirectory() as empty:
            found.append(_one_start(cell, kind, {"TORCHINDUCTOR_CACHE_DIR": empty}))
    return _medians(found)


def _one_start(cell: Cell, kind: str, environment: Mapping[str, str]) -> dict[str, float]:
    process = EngineProcess(cell, kind, environment=environment)
    try:
        process.wait()
        process.finish()
        return process.start
    finally:
        process.close()


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        key.removesuffix("_seconds"): round(median(start[key] for start in found), 4)
        for key in found[0]
    }


def main() -> int:
    """Command line; status 1 when a cell failed, or resnet50 in float32 misses a limit."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.preparation", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--nets", "--only", nargs="+", choices=sorted(NETS))
    parser.add_argument("--precisions", nargs="+", help="default: fp32")
    parser.add_argument("--peers", nargs="+", help="only these")
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    options = parser.parse_args()
    machine = describe("onnxruntime", "openvino", "torch", "onednn-cpu-gomp")
    anew = starts_anew(options)
    results = ResultsFile(options.json, machine, list(all_cells()), anew=anew)
    missed = 0
    for cell in select(options.nets, [1], [2], options.precisions or ["fp32"], options.peers):
        if options.resume and cell in results:
            continue
        try:
            row = measure(cell)
        except EngineError as error:
            missed += 1
            print(f"{cell.name}: {error}", flush=True)
            continue
        results.put(row)
        if cell.net == "resnet50" and cell.precision == "fp32":
            missed += not within(row)
        print(f"{cell.name}: {row['build_seconds']}, {row['start_seconds']}", flush=True)
    return 1 if missed else 0


def within(row: dict[str, Any]) -> bool:
    """Whether a row keeps to LIMITS."""
    ours = row["start_seconds"][OURS]
    found = {**row["build_seconds"], "load": ours["load"] + ours["first_call"]}
    return all(found[name] <= limit for name, limit in LIMITS.items())


if __name__ == "__main__":
    sys.exit(main())
