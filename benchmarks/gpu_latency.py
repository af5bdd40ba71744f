"""Latency on a GPU against the peers: python -m benchmarks.gpu_latency --json FILE

The cells of gpu_cells.toml. Every engine runs in a process of its own; they take turns, and times
are the GPU's (see benchmarks.gpu_contestant). Outputs are compared with torch's in float32.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

import plugrt
from benchmarks.cells import Cell
from benchmarks.engine_process import OURS, EngineError
from benchmarks.gpu_cells import EXACT, GpuProcess, gpu_cells, gpu_plan
from benchmarks.machine import describe_gpu
from benchmarks.nets import NETS
from benchmarks.nets.narrow import narrow
from benchmarks.nets.to_plugrt import to_plugrt
from benchmarks.outputs import relative_error
from benchmarks.prepared import PreparedFiles
from benchmarks.results_file import ResultsFile, starts_anew
from benchmarks.rounds import Effort, alternate, peer_by_ours

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


def measure(cell: Cell, effort: Effort) -> dict[str, Any]:
    """One cell: medians, ratios, rounds and errors. Raises EngineError when plugrt fails, or
    every peer; a single one is named under `failed`."""
    expected = _expected(cell)
    with _started(cell) as (contestants, failed):
        ours, *peers = contestants
        turns = alternate(ours, peers, effort)
        return {
            **cell.as_dict(),
            "measured": datetime.now(timezone.utc).isoformat(timespec="minutes"),
            "median_ms": {k: round(float(np.median(t)) * 1e3, 4) for k, t in turns.items()},
            "rounds": {kind: len(times) for kind, times in turns.items()},
            "peer_by_ours": {k: r.as_dict() for k, r in peer_by_ours(turns, OURS).items()},
            "relative_error": {c.kind: relative_error(c, expected) for c in contestants},
            "failed": failed,
        }


@contextmanager
def _started(cell: Cell) -> Iterator[tuple[list[GpuProcess], dict[str, str]]]:
    """Contestants that load at the same time, plugrt first, and what became of others."""
    everybody = [GpuProcess(cell, kind) for kind in (OURS, *cell.peers)]
    ready: list[GpuProcess] = []
    failed: dict[str, str] = {}
    try:
        for contestant in everybody:
            try:
                contestant.wait()
            except EngineError as failure:
                if contestant.kind == OURS:
                    raise
                failed[contestant.kind] = str(failure)[-300:]
            else:
                ready.append(contestant)
        if len(ready) < 2:
            raise EngineError(f"{cell.name}: no peer runs: {failed}")
        yield ready, failed
    finally:
        for contestant in everybody:
            contestant.close()


def _expected(cell: Cell) -> Sequence[np.ndarray]:
    """The outputs in float32, without tf32."""
    file = PreparedFiles(cell).expected.with_suffix(".gpu.npz")
    if not file.exists():
        reference = GpuProcess(Cell(cell.net, cell.batch, 1, EXACT, ()), REFERENCE)
        try:
            reference.wait()
            return reference.outputs(file)
        finally:
            reference.close()
    with np.load(file) as found:
        return [found[name] for name in found.files]


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
    failed = 0
    for cell in cells:
        if options.resume and cell in results:
            continue
        start = time.perf_counter()
        try:
            built = ready_plan(cell, options.tune, options.tune_time)
            row = {**measure(cell, Effort(seconds=options.seconds)), **built}
            results.put(row)
            told = _summary(row)
        except (EngineError, plugrt.PlugrtError) as failure:
            failed += 1
            told = str(failure)
        print(f"{cell.name} ({time.perf_counter() - start:.0f} s): {told}", flush=True)
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
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--tune", default="fast", choices=("off", "fast", "full"))
    parser.add_argument(
        "--tune-time",
        type=float,
        metavar="S",
        help="tune each plan for so long at most (default: as long as it takes)",
    )
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    return parser.parse_args()


def _summary(row: dict[str, Any]) -> str:
    best, found = min(row["peer_by_ours"].items(), key=lambda item: float(item[1]["value"]))
    times = ", ".join(f"{kind} {ms:.3f}" for kind, ms in row["median_ms"].items())
    return (
        f"{times} ms; {best} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]; "
        f"errors {row['relative_error']}; built {row.get('build_seconds')} s, {row['failed']}"
    )


if __name__ == "__main__":
    sys.exit(main())
