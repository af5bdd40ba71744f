"""Plans as commands load them."""

from __future__ import annotations

from pathlib import Path

from plugrt import Engine

from .outcome import warn

MAXIMUM_WARNINGS = 5


def load_plan(path: Path, device: str | None = None, trusted: bool = False) -> Engine:
    """`Engine.load`; what it notes, such as a plan tuned on another machine, becomes warnings."""
    engine = Engine.load(path, device=device, trusted=trusted)
    for note in engine.report[:MAXIMUM_WARNINGS]:
        warn(f"{path}: {note}")
    further = len(engine.report) - MAXIMUM_WARNINGS
    if further > 0:
        warn(f"{path}: {further} further notes of this kind; build the plan again on this machine")
    return engine
