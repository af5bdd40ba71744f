"""The most memory that loading a net and running it takes: python -m benchmarks.memory --json FILE

Each engine has a process of its own, which loads its model (plugrt a ready plan, the others the
ONNX file; torch builds its module) and runs it a few times; the peak of its resident set is that
of NumPy, Python and the engine's own modules too. plugrt is measured as it is built by default,
and with memory="low". Nothing here depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell, all_cells, select
from benchmarks.engine_process import (
    OURS,
    OURS_LOW,
    EngineError,
    EngineProcess,
    installed,
    ready_plan,
)
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.results_file import ResultsFile, starts_anew

LEFT_OUT = ("torch_compile",)
"""Its process compiles, which takes memory that a process that only runs would not."""

CALLS = 3


def measure(cell: Cell) -> dict[str, Any]:
    """Peak bytes by contestant. Raises EngineError when plugrt fails, or every peer; a single one
    is named under `failed`."""
    peaks: dict[str, int] = {}
    failed: dict[str, str] = {}
    for kind in (OURS, OURS_LOW):
        ready_plan(cell, "low" if kind == OURS_LOW else "normal")
    peers = installed(tuple(peer for peer in cell.peers if peer not in LEFT_OUT))
    for kind in (OURS, OURS_LOW, *peers):
        contestant = EngineProcess(cell, kind)
        try:
            contestant.wait()
            contestant.run(CALLS)
            peaks[kind] = contestant.peak_memory()
        except EngineError as failure:
            if kind in (OURS, OURS_LOW):
                raise
            failed[kind] = failure.reason
        finally:
            contestant.close()
    if len(failed) == len(peers):
        raise EngineError(f"{cell.name}: no peer runs: {failed}")
    return {**cell.as_dict(), "peak_bytes": peaks, "failed": failed}


def main() -> int:
    """Command line; status 1 when plugrt with memory="low" needs more than the best peer."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.memory", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--nets", "--only", nargs="+", choices=sorted(NETS))
    parser.add_argument("--batches", nargs="+", type=int, help="default: 1 and 8")
    parser.add_argument("--threads", nargs="+", type=int, help="default: 2")
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--resume", action="store_true",
                        help="leave out cells that the file of --json has already")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the results here, cell by cell")
    options = parser.parse_args()
    machine = describe("onnxruntime", "openvino", "torch", "onednn-cpu-gomp")
    anew = starts_anew(options)
    results = ResultsFile(options.json, machine, list(all_cells()), anew=anew)
    missed = 0
    for cell in select(
        options.nets, options.batches, options.threads or [2], options.precisions
    ):
        if options.resume and cell in results:
            continue
        try:
            row = measure(cell)
        except EngineError as error:
            print(f"{cell.name}: {error}", flush=True)
            missed += 1
            continue
        results.put(row)
        missed += not within(row["peak_bytes"])
        told = ", ".join(f"{k} {v / 2**20:.0f}" for k, v in row["peak_bytes"].items())
        print(f"{cell.name}: {told} MiB", flush=True)
    return 1 if missed else 0


def within(peaks: dict[str, int]) -> bool:
    """Whether plugrt with memory="low" needs no more than the best peer."""
    return peaks[OURS_LOW] <= min(v for k, v in peaks.items() if k not in (OURS, OURS_LOW))


if __name__ == "__main__":
    sys.exit(main())
