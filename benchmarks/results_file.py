"""The results of a measurement with many cells: kept after each, so that it can be resumed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell
from plugrt.core.atomic_file import write_atomically

Row = Mapping[str, Any]


class ResultsFile:
    """`{"machine": ..., "cells": [...]}`, with one row per cell in the order of `cells`.

    Rows that the file has are kept, unless they were measured on another machine or with other
    versions, or `anew` is set. Without a path everything is kept in memory alone.
    """

    def __init__(
        self, path: Path | None, machine: Mapping[str, Any], cells: Sequence[Cell], *,
        anew: bool = False,
    ) -> None:  # fmt: skip
        self._path = path
        self._machine = dict(machine)
        self._order = [_key(cell.as_dict()) for cell in cells]
        self._rows: dict[tuple[object, ...], Row] = {}
        for row in () if anew else _rows(path, self._machine):
            self._rows[_key(row)] = row

    def __contains__(self, cell: Cell) -> bool:
        return _key(cell.as_dict()) in self._rows

    def put(self, row: Row) -> None:
        """Add or replace the row of a cell, and write the file."""
        self._rows[_key(row)] = dict(row)
        if self._path is None:
            return
        rows = [self._rows[key] for key in self._order if key in self._rows]
        text = json.dumps({"machine": self._machine, "cells": rows}, indent=1)
        write_atomically(self._path, f"{text}\n".encode())


def starts_anew(options: argparse.Namespace) -> bool:
    """Whether a program measures all that it can, and is not resumed: former rows go then."""
    filters = ("nets", "batches", "threads", "precisions", "peers")
    return not options.resume and not any(getattr(options, name, None) for name in filters)


def _rows(path: Path | None, machine: Row) -> list[Row]:
    if path is None or not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    return list(found["cells"]) if found["machine"] == machine else []


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("net", "batch", "threads", "precision"))
