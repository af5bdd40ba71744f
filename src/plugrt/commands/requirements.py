"""What a plan needs to be loaded: read from the file alone, no plug-in is imported."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from plugrt import PlanError
from plugrt.core.engine.plan import read_requirements

from .tables import print_table


def requirements(path: Path) -> list[dict[str, Any]]:
    """One entry per plug-in: kind, type, version, state_version, distribution and its version
    (both None for a class that was registered by hand).

    Raises OSError when the file cannot be read, PlanError when it is damaged.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise PlanError(f"{path}: the plan is empty; build it again")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        found = read_requirements(memoryview(mapped))
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error
    return [
        {
            "kind": item.kind,
            "type": item.type,
            "version": item.version,
            "state_version": item.state_version,
            "distribution": item.distribution or None,
            "distribution_version": item.distribution_version or None,
        }
        for item in found
    ]


def print_requirements(out: TextIO, needed: Sequence[Mapping[str, Any]]) -> None:
    """Print them as a table."""
    headings = ("kind", "type", "version", "state version", "distribution", "its version")
    rows = [
        [
            item["kind"],
            item["type"],
            item["version"],
            str(item["state_version"]),
            item["distribution"] or "registered by hand",
            item["distribution_version"] or "",
        ]
        for item in needed
    ]
    print_table(out, headings, rows)
