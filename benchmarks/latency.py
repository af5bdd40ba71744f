"""Latency against the peers on the cells of cells.toml: python -m benchmarks.latency --json FILE

Every engine runs in a process of its own; they take turns block by block.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.alternating import ratio
from benchmarks.cells import Cell, all_cells
from benchmarks.machine import describe
from benchmarks.nets import NETS
from benchmarks.nets.to_onnx import to_onnx
from benchmarks.suite import REPOSITORY

OURS = "plugrt"
BLOCK_SECONDS = 0.1
"""A turn lasts about as long, and three calls at least."""

REST = 0.02
"""Seconds between turns, in which the threads of the last contestant go to sleep."""

LEAST_ROUNDS = 10

MODULES = {"torch_compile": "torch"}


class Contestant:
    """A process that runs one engine."""

    def __init__(self, cell: Cell, kind: str, folder: Path) -> None:
        spec = json.dumps({**cell.as_dict(), "kind": kind, "folder": str(folder)})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contestant", spec], cwd=REPOSITORY, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.kind = kind
        self.start: dict[str, float] = self._read()
        self.block = 1
        self.block = max(3, min(1000, int(BLOCK_SECONDS / np.median(self.run(5)))))

    def run(self, calls: int | None = None) -> list[float]:
        """Seconds of each call."""
        times: list[float] = self._ask(f"run {calls or self.block}")
        return times

    def outputs(self, file: Path) -> list[np.ndarray]:
        """The results of the last call."""
        self._ask(f"outputs {file}")
        with np.load(file) as found:
            return [found[name] for name in found.files]

    def peak_memory(self) -> int:
        """Bytes of the resident set at its largest."""
        return int(self._ask("memory"))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _ask(self, request: str) -> Any:
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the process has no standard input")
        stdin.write(request + "\n")
        stdin.flush()
        return self._read()

    def _read(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            told = self._process.stderr.read() if self._process.stderr else ""
            raise RuntimeError(f"{self.kind} failed: {told[-2000:]}")
        return json.loads(line)


def measure(cell: Cell, seconds: float) -> dict[str, Any]:
    """One cell: medians, ratios, errors, memory, and the times of building and loading."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        recipe = NETS[cell.net]()
        np.save(folder / "image.npy", recipe.image(cell.batch))
        (folder / "model.onnx").write_bytes(to_onnx(recipe, cell.batch).SerializeToString())
        built = _build(cell, folder)
        kinds = [OURS, *(p for p in cell.peers if find_spec(MODULES.get(p, p)) is not None)]
        contestants: list[Contestant] = []
        try:
            contestants += [Contestant(cell, kind, folder) for kind in kinds]
            times = _alternate(contestants, seconds)
            expected = _expected(cell, folder)
            return {
                **cell.as_dict(),
                "median_ms": {k: round(float(np.median(t)) * 1e3, 4) for k, t in times.items()},
                "peer_by_ours": {
                    kind: ratio(times[kind], times[OURS]).as_dict() for kind in kinds[1:]
                },
                "relative_error": {c.kind: _error(c, folder, expected) for c in contestants},
                "peak_memory_bytes": {c.kind: c.peak_memory() for c in contestants},
                "load_seconds": {
                    c.kind: round(sum(c.start.values()), 4) for c in contestants
                },
                "build_seconds": built,
            }
        finally:
            for contestant in contestants:
                contestant.close()


def _build(cell: Cell, folder: Path) -> dict[str, float]:
    spec = json.dumps({**cell.as_dict(), "folder": str(folder)})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.builder", spec], cwd=REPOSITORY, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return {name: round(value, 3) for name, value in found.items()}


def _alternate(contestants: Sequence[Contestant], seconds: float) -> dict[str, np.ndarray]:
    """Medians of the contestants' turns; every second round in reverse order."""
    medians: dict[str, list[float]] = {c.kind: [] for c in contestants}
    order = list(contestants)
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end or rounds < LEAST_ROUNDS:
        for contestant in order:
            contestant.run(1)  # wakes its threads and brings back its weights
            medians[contestant.kind].append(float(np.median(contestant.run())))
            time.sleep(REST)
        order.reverse()
        rounds += 1
    return {kind: np.array(values) for kind, values in medians.items()}


def _expected(cell: Cell, folder: Path) -> list[np.ndarray]:
    """The outputs in float32, by ONNX Runtime."""
    reference = Contestant(
        Cell(cell.net, cell.batch, cell.threads, "fp32", ()), "onnxruntime", folder
    )
    try:
        return reference.outputs(folder / "expected.npz")
    finally:
        reference.close()


def _error(contestant: Contestant, folder: Path, expected: Sequence[np.ndarray]) -> float:
    """The norm of the difference by that of the expected output, for the worst output."""
    found = contestant.outputs(folder / f"{contestant.kind}.npz")
    return max(
        float(np.linalg.norm(mine - wanted) / np.linalg.norm(wanted))
        for mine, wanted in zip(found, expected, strict=True)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--nets", nargs="+", choices=sorted(NETS))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--peers", nargs="+", help="only these")
    parser.add_argument("--seconds", type=float, default=10.0, help="per cell")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    chosen = [
        Cell(c.net, c.batch, c.threads, c.precision,
             tuple(p for p in c.peers if not options.peers or p in options.peers))
        for c in all_cells()
        if c.net in (options.nets or NETS)
        and c.batch in (options.batches or (c.batch,))
        and c.threads in (options.threads or (c.threads,))
        and c.precision in (options.precisions or (c.precision,))
    ]  # fmt: skip
    machine = describe("onnxruntime", "openvino", "torch", "onednn-cpu-gomp")
    cells: list[dict[str, Any]] = []
    for cell in chosen:
        cells.append(measure(cell, options.seconds))
        best = min(cells[-1]["peer_by_ours"].items(), key=lambda item: item[1]["value"])
        print(f"{cell.net} b{cell.batch} t{cell.threads} {cell.precision}: "
              f"{cells[-1]['median_ms']} best peer {best[0]} {best[1]}", flush=True)  # fmt: skip
        if options.json:
            result = {"machine": machine, "cells": cells}
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
