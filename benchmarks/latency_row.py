"""A cell of a latency benchmark, as the results file holds it and as the program tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

from benchmarks.cells import Cell
from benchmarks.engine_process import OURS, EngineProcess
from benchmarks.outputs import relative_error
from benchmarks.rounds import peer_by_ours


def latency_row(
    cell: Cell, turns: Mapping[str, np.ndarray], contestants: Sequence[EngineProcess],
    expected: Sequence[np.ndarray], failed: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Medians, ratios, rounds and errors, and what became of peers that failed."""
    return {
        **cell.as_dict(),
        "measured": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "median_ms": {k: round(float(np.median(t)) * 1e3, 4) for k, t in turns.items()},
        "rounds": {kind: len(times) for kind, times in turns.items()},
        "peer_by_ours": {k: r.as_dict() for k, r in peer_by_ours(turns, OURS).items()},
        "relative_error": {c.kind: relative_error(c, expected) for c in contestants},
        "failed": failed,
    }


def summary(row: Mapping[str, Any]) -> str:
    """One line: all times, and the best peer's ratio."""
    best, found = min(row["peer_by_ours"].items(), key=lambda item: float(item[1]["value"]))
    times = ", ".join(f"{kind} {ms:.3f}" for kind, ms in row["median_ms"].items())
    return (
        f"{times} ms; {best} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}] in "
        f"{row['rounds'][best]} rounds"
    )
