"""Latency on a GPU against the peers: python -m benchmarks.gpu_latency --json FILE

The cells of gpu_cells.toml. Every engine runs in a process of its own; they take turns, and times
are the GPU's (see benchmarks.gpu_contestant). Outputs are compared with torch's in float32.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.cells import Cell
from benchmarks.engine_process import OURS, EngineError
from benchmarks.gpu_cells import EXACT, GpuProcess, gpu_cells, gpu_plan
from benchmarks.latency_row import latency_row, summary
from benchmarks.machine import describe_gpu
from benchmarks.nets import NETS
from benchmarks.nets.narrow import narrow
from benchmarks.nets.to_plugrt import to_plugrt
from benchmarks.prepared import PreparedFiles
from benchmarks.results_file import ResultsFile, starts_anew
from benchmarks.rounds import Effort, alternate

REFERENCE = "torch_eager"


def ready_plan(cell: Cell, tune: str, tune_time: float | None) -> dict[str, float]:
    """Build the plan of a cell if the sources have changed since it was."""
    plan = gpu_plan(cell)
    if plan.exists():
        return {}
    network = to_plugrt(narrow(NETS[cell.net]()), cell.batch)
    config = plugrt.BuilderConfig(
        device="cuda", precision=cell.precision, tune=tune, tune_time=tune_time,
        timing_cache=PreparedFiles(cell).timing_cache,
    )  # fmt: skip
    start = time.perf_counter()
    with plugrt.build(network, config) as engine:
        seconds = time.perf_counter() - start
        engine.save(plan)
        measured = engine.explanation.tuning.get("measured", 0)
    return {"build_seconds": round(seconds, 1), "candidates_timed": measured}


class Turns:
    """The contestants of one cell. They load as soon as this is made, each in its process, so that
    several cells can load at the same time; whoever is ready leaves the GPU alone."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self._expected = PreparedFiles(cell).expected.with_suffix(".gpu.npz")
        self._everybody = [GpuProcess(cell, kind) for kind in (OURS, *cell.peers)]
        self._reference: GpuProcess | None = None
        if not self._expected.exists():
            self._reference = GpuProcess(replace(cell, precision=EXACT), REFERENCE)

    def wait(self) -> None:
        """Until all are ready. Raises EngineError when plugrt fails, or every peer."""
        if self._reference is not None:
            self._reference.wait()
            self._reference.outputs(self._expected)
            self._reference.close()
        self._ready: list[GpuProcess] = []
        self._failed: dict[str, str] = {}
        for contestant in self._everybody:
            try:
                contestant.wait()
            except EngineError as failure:
                if contestant.kind == OURS:
                    raise
                self._failed[contestant.kind] = failure.reason
            else:
                self._ready.append(contestant)
        if len(self._ready) < 2:
            raise EngineError(f"{self.cell.name}: no peer runs: {self._failed}")

    def measure(self, effort: Effort) -> dict[str, Any]:
        """Medians, ratios, rounds and errors; a peer that failed is named under `failed`."""
        ours, *peers = self._ready
        turns = alternate(ours, peers, effort)
        with np.load(self._expected) as found:
            expected = [found[name] for name in found.files]
        memory = {contestant.kind: contestant.gpu_memory() for contestant in self._ready}
        row = latency_row(self.cell, turns, self._ready, expected, self._failed)
        return {**row, "gpu_memory_mib": memory}

    def close(self) -> None:
        """End all processes."""
        for contestant in (*self._everybody, self._reference):
            if contestant is not None:
                contestant.close()


def measure_together(
    cells: Sequence[Cell], built: Mapping[Cell, Mapping[str, float]], effort: Effort,
    results: ResultsFile,
) -> int:
    """Load several cells, then measure one after the other; how many failed."""
    failed = 0
    started = [Turns(cell) for cell in cells]
    try:
        for turns in started:
            try:
                turns.wait()
            except EngineError as failure:
                failed += 1
                print(f"{turns.cell.name}: {failure}", flush=True)
                turns.close()
                started = [other for other in started if other is not turns]
        for turns in started:
            row = {**turns.measure(effort), **built[turns.cell]}
            results.put(row)
            more = f"errors {row['relative_error']}{row['failed'] or ''}"
            print(f"{turns.cell.name}: {summary(row)}; {more}", flush=True)
            turns.close()
    finally:
        for turns in started:
            turns.close()
    return failed


def main() -> int:
    """Command line; status 1 when a cell failed."""
    options = _options()
    cells = [
        Cell(c.net, c.batch, c.threads, c.precision, tuple(options.peers or c.peers))
        for c in gpu_cells()
        if (options.nets is None or c.net in options.nets)
        and (options.batches is None or c.batch in options.batches)
    ]
    machine = describe_gpu("torch")
    results = ResultsFile(options.json, machine, list(gpu_cells()), anew=starts_anew(options))
    cells = [cell for cell in cells if not (options.resume and cell in results)]
    failed = 0
    built = {}
    for cell in cells:
        try:
            built[cell] = ready_plan(cell, options.tune, options.tune_time)
        except plugrt.PlugrtError as failure:
            failed += 1
            print(f"{cell.name}: {failure}", flush=True)
        else:
            print(f"{cell.name}: {built[cell] or 'built before'}", flush=True)
    ready = list(built)
    effort = Effort(seconds=options.seconds)
    for first in range(0, len(ready), options.together):
        failed += measure_together(ready[first : first + options.together], built, effort, results)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu_latency", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--peers", nargs="+", help="only these")
    parser.add_argument("--seconds", type=float, default=5.0,
                        help="of turns per cell, at most (default %(default)g)")  # fmt: skip
    parser.add_argument("--together", type=int, default=3, metavar="N",
                        help="load so many cells at a time (default %(default)s)")
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--tune", default="fast", choices=("off", "fast", "full"))
    parser.add_argument("--tune-time", type=float, metavar="S",
                        help="tune each plan for so long at most (default: as long as it takes)")
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
