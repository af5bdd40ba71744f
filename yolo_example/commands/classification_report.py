"""What pictures show, as text, as JSON, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..classification import Classification
from ..detection.tables import score_style, shortened

BAR_WIDTH = 24
PATH_SEPARATOR = " > "


@dataclass(frozen=True)
class PictureClasses:
    """The likeliest classes of one picture."""

    path: Path
    classes: Sequence[Classification]


def as_lines(result: PictureClasses) -> list[str]:
    """One line per class."""
    return [f"{result.path}: {full_name(c)} {c.probability:.1%}" for c in result.classes]


def as_plain(result: PictureClasses) -> dict[str, Any]:
    """The result as JSON knows it."""
    return {
        "image": str(result.path),
        "classes": [
            {
                "class": c.class_index,
                "name": c.name,
                "probability": c.probability,
                **({"path": list(c.path)} if c.path else {}),
            }
            for c in result.classes
        ],
    }


def class_table(result: PictureClasses) -> RenderableType:
    """One picture's classes, the likeliest first."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    for found in result.classes:
        style = score_style(found.probability)
        table.add_row(
            Text(f"{found.probability:.1%}", style),
            Text(bar(found.probability), style),
            Text(full_name(found)),
        )
    return Group(Text(str(result.path), "bold"), table, "")


def picture_line(result: PictureClasses, name_width: int) -> Text:
    """One picture in a line: its name and its classes."""
    line = Text(shortened(str(result.path), name_width).ljust(name_width) + "  ", "bold")
    for found in result.classes:
        line.append(f"{found.name} ", "not bold")
        line.append(f"{found.probability:.0%}  ", f"not bold {score_style(found.probability)}")
    return line


def full_name(found: Classification) -> str:
    """The name of a class, behind those of all classes above it where classes form a tree."""
    return PATH_SEPARATOR.join(found.path) or found.name


def bar(value: float) -> str:
    """A bar for a value from 0 to 1."""
    return "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * round(min(max(value, 0.0), 1.0) * BAR_WIDTH)
