"""An evaluation for people: tables for a terminal, plain aligned lines for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..detection.reporting import times_per_picture
from .bootstrap import CONFIDENCE, Interval
from .result import Evaluation

GOOD, FAIR = 0.5, 0.2
BAR_WIDTH = 20
EIGHTHS = " ▏▎▍▌▋▊▉"
HEADINGS = ("class", "objects", "AP@0.5", "AP@[.5:.95]")


def as_tables(result: Evaluation) -> RenderableType:
    """The classes, the best first; below them the means and the time."""
    table = Table(box=SIMPLE_HEAD, header_style="dim", border_style="dim", pad_edge=False)
    table.add_column(HEADINGS[0], overflow="fold")
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    table.add_column("")
    for found in sorted(result.classes, key=lambda c: -c.ap_50):
        style = _style(found.ap_50)
        table.add_row(
            found.name, str(found.objects), Text(f"{found.ap_50:.1%}", style),
            f"{found.ap:.1%}", Text(_bar(found.ap_50), style),
        )  # fmt: skip
    summary = Table.grid(padding=(0, 2))
    for name, value, interval in _means(result):
        row = (Text(name, "bold"), Text(f"{value:.1%}", f"bold {_style(value)}"))
        summary.add_row(*row, Text(_within(interval), "dim"))
    return Group(table, summary, Text(_counts(result), "dim"), Text(_speed(result), "dim"))


def as_lines(result: Evaluation) -> list[str]:
    """The same without drawing, in the order of the classes."""
    width = max(len(HEADINGS[0]), *(len(found.name) for found in result.classes))
    lines = [f"{HEADINGS[0]:{width}}  {HEADINGS[1]}  {HEADINGS[2]}  {HEADINGS[3]}"]
    lines += [
        f"{found.name:{width}}  {found.objects:7}  {found.ap_50:6.1%}  {found.ap:11.1%}"
        for found in result.classes
    ]
    lines += [
        f"{name}: {value:.1%} {_within(interval)}".rstrip()
        for name, value, interval in _means(result)
    ]
    return [*lines, _counts(result), _speed(result)]


def _means(result: Evaluation) -> Iterator[tuple[str, float, Interval | None]]:
    yield "mAP@0.5", result.map_50, result.map_50_interval
    yield "mAP@[.5:.95]", result.map, result.map_interval


def _within(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"({CONFIDENCE:.0%} interval {interval.low:.1%} to {interval.high:.1%})"


def _counts(result: Evaluation) -> str:
    return f"{result.images} pictures, {result.objects} objects of {len(result.classes)} classes"


def _speed(result: Evaluation) -> str:
    return times_per_picture(asdict(result.timing), result.images)


def _style(value: float) -> str:
    return "green" if value >= GOOD else "yellow" if value >= FAIR else "red"


def _bar(value: float) -> str:
    eighths = round(value * BAR_WIDTH * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
