"""The frozen cells of the GPU's benchmarks, and what is prepared for them."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cells import Cell
from benchmarks.engine_process import EngineProcess
from benchmarks.prepared import PreparedFiles

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("gpu_cells.toml")
EXACT = "fp32"


def gpu_cells() -> Iterator[Cell]:
    """Every cell of gpu_cells.toml."""
    with FILE.open("rb") as file:
        found = tomllib.load(file)
    for net, batches in found["nets"].items():
        for batch in batches:
            yield Cell(net, batch, 1, found["precision"], tuple(found["peers"]))


def gpu_plan(cell: Cell) -> Path:
    """Where plugrt's plan of the cell is kept."""
    return PreparedFiles(cell).plan("gpu")


class GpuProcess(EngineProcess):
    """A contestant on the GPU."""

    def __init__(self, cell: Cell, kind: str) -> None:
        super().__init__(cell, kind, "benchmarks.gpu_contestant")

    @staticmethod
    def files(cell: Cell, kind: str) -> dict[str, str]:
        return {"image": str(PreparedFiles(cell).image), "plan": str(gpu_plan(cell))}

    def gpu_memory(self) -> int | None:
        """MiB of the GPU's memory that the driver counts for the process: the driver's own share,
        libraries, weights and what is reserved. None where the driver does not tell."""
        query = ("--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
        try:
            told = subprocess.run(
                ["nvidia-smi", *query], check=True, capture_output=True, text=True
            ).stdout
        except (OSError, subprocess.CalledProcessError):
            return None
        rows = (row for row in csv.reader(told.splitlines(), skipinitialspace=True) if row)
        found = [mib for pid, mib in rows if pid == str(self._process.pid) and mib.isdigit()]
        return sum(map(int, found)) if found else None
