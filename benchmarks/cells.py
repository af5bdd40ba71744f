"""The frozen cells: which net, batch, threads and precision are measured, and against whom."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("cells.toml")


@dataclass(frozen=True)
class Cell:
    """One comparison."""

    net: str
    batch: int
    threads: int
    precision: str
    peers: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the peers."""
        return {name: value for name, value in asdict(self).items() if name != "peers"}


def all_cells() -> Iterator[Cell]:
    """Every cell of cells.toml, small ones first."""
    with FILE.open("rb") as file:
        found = tomllib.load(file)
    for precision, peers in found["peers"].items():
        for batch in found["batches"]:
            for threads in found["threads"]:
                for net in found["nets"]:
                    yield Cell(net, batch, threads, precision, tuple(peers))
