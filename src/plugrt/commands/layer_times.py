"""The profiler's times as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from plugrt import LayerTime

from .tables import print_heading, print_table


def print_layer_times(out: TextIO, times: Sequence[LayerTime]) -> None:
    """Print microseconds and share of every layer, in execution order."""
    total = sum(time.seconds for time in times)
    print_heading(out, f"Layers, {total * 1e3:.3f} ms in all")
    rows = [
        [time.name, time.type, f"{time.seconds * 1e6:.1f}", f"{_share(time.seconds, total):.1%}"]
        for time in times
    ]
    print_table(out, ("layer", "type", "us", "share"), rows)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
