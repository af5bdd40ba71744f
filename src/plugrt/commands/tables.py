"""Tables for people: drawn by rich on a terminal, plain aligned columns in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

STYLES = {"quarantined": "red", "denied": "yellow", "loaded": "green", "failed": "red"}
"""Cells with these words are coloured on a terminal."""


def print_table(
    out: TextIO, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = ""
) -> None:
    """Print rows under headings. In a pipe: one line per row, columns two spaces apart."""
    if out.isatty():
        _print_rich(out, headings, rows, title)
        return
    if title:
        print(title, file=out)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), file=out)


def print_heading(out: TextIO, text: str) -> None:
    """Print a line that opens a section."""
    if out.isatty():
        Console(file=out).print(text, style="bold", markup=False, highlight=False)
    else:
        print(text, file=out)


def _print_rich(
    out: TextIO, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str
) -> None:
    table = Table(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_styled(cell) for cell in row))
    Console(file=out).print(table)


def _styled(cell: str) -> str:
    text = cell.replace("[", r"\[")
    style = STYLES.get(cell)
    return f"[{style}]{text}[/{style}]" if style else text
