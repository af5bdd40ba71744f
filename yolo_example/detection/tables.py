"""Detections as tables for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .palette import class_color
from .reporting import PictureResult

SURE, DOUBTFUL = 0.6, 0.4
WIDEST_NAME = 40
MARK = "\N{BLACK SQUARE}"


def detection_table(result: PictureResult) -> RenderableType:
    """One picture's detections, the surest first."""
    title = Text.assemble(
        (str(result.path), "bold"), (f"  {result.width} x {result.height}", "dim")
    )
    if not result.detections:
        return Group(title, Text("nothing found", "dim italic"), "")
    table = Table(box=SIMPLE_HEAD, header_style="dim", border_style="dim", pad_edge=False)
    table.add_column("object", overflow="fold")
    table.add_column("score", justify="right")
    for heading in ("left", "top", "right", "bottom"):
        table.add_column(heading, justify="right")
    for found in result.detections:
        table.add_row(
            Text.assemble((f"{MARK} ", _style(found.class_index)), found.name),
            Text(f"{found.score:.1%}", score_style(found.score)),
            *(f"{place:.0f}" for place in found.box),
        )
    return Group(title, table)


def picture_line(result: PictureResult, name_width: int) -> Text:
    """One picture in a line: its name, and how many it shows of each class."""
    name = shortened(str(result.path), name_width).ljust(name_width)
    line = Text(no_wrap=True, overflow="ellipsis").append(name + "  ", "bold")
    if not result.detections:
        return line.append("nothing found", "dim italic")
    names = {found.class_index: found.name for found in result.detections}
    counts = Counter(found.class_index for found in result.detections)
    for index, count in counts.most_common():
        line.append(f"{MARK} ", _style(index)).append(f"{count} ").append(f"{names[index]}  ")
    return line


def name_width(paths: Sequence[Path]) -> int:
    """The width for the names in lines of pictures."""
    return min(WIDEST_NAME, max(len(str(path)) for path in paths))


def shortened(text: str, width: int) -> str:
    """The text's end where it is too long for `width`."""
    return text if len(text) <= width else "\N{HORIZONTAL ELLIPSIS}" + text[len(text) - width + 1 :]


def _style(class_index: int) -> str:
    red, green, blue = class_color(class_index)
    return f"rgb({red},{green},{blue})"


def score_style(score: float) -> str:
    """A color for how sure something is."""
    return "green" if score >= SURE else "yellow" if score >= DOUBTFUL else "red"
