"""The frozen cells: which net, batch, threads and precision are measured, and against whom."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, replace
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

    @property
    def name(self) -> str:
        """For people: `lenet b1 t2 fp32`."""
        return f"{self.net} b{self.batch} t{self.threads} {self.precision}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the peers."""
        return {name: value for name, value in asdict(self).items() if name != "peers"}


def all_cells() -> Iterator[Cell]:
    """Every cell of cells.toml, in the order in which they are measured: whole sets of nets one
    after the other, so that an interruption leaves sets that tell something."""
    with FILE.open("rb") as file:
        found = tomllib.load(file)
    for threads in found["threads"]:
        for batch in found["batches"]:
            for precision, peers in found["peers"].items():
                for net in found["nets"]:
                    yield Cell(net, batch, threads, precision, tuple(peers))


def select(
    nets: Container[str] | None = None, batches: Container[int] | None = None,
    threads: Container[int] | None = None, precisions: Container[str] | None = None,
    peers: Container[str] | None = None,
) -> list[Cell]:  # fmt: skip
    """The cells, and of their peers those, that are in what is given; None stands for all."""
    return [
        replace(cell, peers=tuple(p for p in cell.peers if peers is None or p in peers))
        for cell in all_cells()
        if (nets is None or cell.net in nets)
        and (batches is None or cell.batch in batches)
        and (threads is None or cell.threads in threads)
        and (precisions is None or cell.precision in precisions)
    ]
