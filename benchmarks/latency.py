"""Latency against the peers on the cells of cells.toml: python -m benchmarks.latency --json FILE

Every engine runs in a process of its own; they take turns, until the best peer's ratio to plugrt
is known well enough. Results are written cell by cell; --resume leaves out cells that the file
has already, of the same machine and versions. --prepare measures nothing: it tunes plugrt's plans
and fills torch's cache of compiled code, so that measuring takes less time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cells import Cell, all_cells, select
from benchmarks.engine_process import OURS, EngineError, EngineProcess, installed, ready_plan
from benchmarks.latency_row import latency_row, summary
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.prepared import PreparedFiles
from benchmarks.results_file import ResultsFile, starts_anew
from benchmarks.rounds import Effort, alternate

COMPILED = "torch_compile"


def measure(cell: Cell, effort: Effort, tune_time: float | None = None) -> dict[str, Any]:
    """One cell: medians, ratios, rounds and errors. Raises EngineError when plugrt fails, or
    every peer; a single one is named under `failed`."""
    ready_plan(cell, tune_time=tune_time)
    expected = _expected(cell)
    with _started(cell, [OURS, *installed(cell.peers)]) as (contestants, failed):
        ours, *peers = contestants
        turns = alternate(ours, peers, effort)
        return latency_row(cell, turns, contestants, expected, failed)


@contextmanager
def _started(
    cell: Cell, kinds: Sequence[str]
) -> Iterator[tuple[list[EngineProcess], dict[str, str]]]:
    """Contestants that load at the same time, plugrt first, and what became of others."""
    all_of_them: list[EngineProcess] = []
    ready: list[EngineProcess] = []
    failed: dict[str, str] = {}
    try:
        for kind in kinds:
            all_of_them.append(EngineProcess(cell, kind))
        for contestant in all_of_them:
            try:
                contestant.wait()
            except EngineError as failure:
                if contestant.kind == OURS:
                    raise
                failed[contestant.kind] = failure.reason
                contestant.close()
            else:
                ready.append(contestant)
        if len(ready) < 2:
            raise EngineError(f"{cell.name}: no peer runs: {failed}")
        yield ready, failed
    finally:
        for contestant in all_of_them:
            contestant.close()


def _expected(cell: Cell) -> list[np.ndarray]:
    """The outputs in float32, by ONNX Runtime."""
    file = PreparedFiles(cell).expected
    if not file.exists():
        reference = EngineProcess(Cell(cell.net, cell.batch, 2, "fp32", ()), "onnxruntime")
        try:
            reference.wait()
            reference.outputs(file)
        finally:
            reference.close()
    with np.load(file) as found:
        return [found[name] for name in found.files]


def prepare(cell: Cell, tune_time: float | None = None) -> None:
    """Plans and compiled code of a cell, so that measuring it begins sooner."""
    ready_plan(cell, tune_time=tune_time)
    _expected(cell)
    for kind in installed(tuple(p for p in cell.peers if p == COMPILED)):
        contestant = EngineProcess(cell, kind)
        try:
            contestant.wait()
        finally:
            contestant.close()


def main() -> int:
    """Command line; status 1 when a cell failed."""
    options = _options()
    cells = select(
        options.nets, options.batches, options.threads, options.precisions, options.peers
    )
    machine = describe("onnxruntime", "openvino", "torch", "onednn-cpu-gomp")
    anew = starts_anew(options) and not options.prepare
    results = ResultsFile(options.json, machine, list(all_cells()), anew=anew)
    effort = Effort(seconds=options.seconds)
    if options.retune:
        for cell in cells:
            PreparedFiles(cell).forget_times()
    failed = 0
    for number, cell in enumerate(cells, 1):
        if options.resume and not options.prepare and cell in results:
            continue
        start = time.perf_counter()
        try:
            if options.prepare:
                prepare(cell, options.tune_time)
                told = "prepared"
            else:
                row = measure(cell, effort, options.tune_time)
                results.put(row)
                told = summary(row)
        except EngineError as failure:
            failed += 1
            told = str(failure)
        took = time.perf_counter() - start
        print(f"{number}/{len(cells)} {cell.name} ({took:.0f} s): {told}", flush=True)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.latency", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--nets", "--only", nargs="+", choices=sorted(NETS))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--peers", nargs="+", help="only these")
    parser.add_argument("--seconds", type=float, default=Effort.seconds,
                        help="of turns per cell, at most (default %(default)g); rounds that are "
                        "needed come on top where calls are slow")  # fmt: skip
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--prepare", action="store_true",
                        help="build plans and compile for torch, measure nothing")  # fmt: skip
    parser.add_argument("--retune", action="store_true",
                        help="forget the times that plugrt's plans of these nets were tuned by")
    parser.add_argument("--tune-time", type=float, metavar="S",
                        help="tune each plan for so long at most (default: as long as it takes)")
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
