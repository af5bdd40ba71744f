"""Pieces of a Markdown page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence


def paragraph(*sentences: str) -> str:
    """Running text, in lines of at most 100 characters."""
    text = " ".join(sentences)
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is text, the others are numbers, to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [" | ".join(map(str, cells)) for cells in (head, rule, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def code(lines: Iterable[str]) -> str:
    """A block of shell commands."""
    return "\n".join(["```sh", *lines, "```"])


def count(number: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
