"""Reading Darknet's network definitions: sections of `key=value` lines.

Blanks count for nothing, anywhere. `#` and `;` begin a comment. A section's name is what
stands between its brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plugrt.plugins import ModelError

MAXIMUM_SIZE = 16 << 20
"""Bytes; the largest known definition has 30 thousand."""


@dataclass(frozen=True)
class Option:
    """One `key=value` line."""

    value: str
    line: int


@dataclass
class Section:
    """One `[name]` with its options; the first of equal keys counts, as in Darknet."""

    path: Path
    name: str
    line: int
    options: dict[str, Option] = field(default_factory=dict)
    repeated: list[tuple[str, int]] = field(default_factory=list)

    def error(self, text: str, line: int | None = None) -> ModelError:
        """An error that names the file, the line and the section."""
        return ModelError(f"{self.path}:{line or self.line}: [{self.name}] {text}")


def read_cfg(path: Path) -> list[Section]:
    """All sections of a definition, at least one.

    Raises ModelError naming file and line for anything that is not a section, an option or
    a comment, and for an empty file.
    """
    sections: list[Section] = []
    for number, raw in enumerate(_text(path).splitlines(), start=1):
        line = _significant(raw)
        if not line:
            continue
        if line.startswith("["):
            sections.append(_section(path, line, number))
            continue
        key, equals, value = line.partition("=")
        if not (key and equals and value):
            raise ModelError(
                f"{path}:{number}: {_shortened(line)!r} is neither [section] nor key=value; "
                "correct or delete the line"
            )
        if not sections:
            raise ModelError(
                f"{path}:{number}: option {_shortened(key)!r} stands before any section; "
                "a definition begins with [net]"
            )
        section = sections[-1]
        if key in section.options:
            section.repeated.append((key, number))
        else:
            section.options[key] = Option(value, number)
    if not sections:
        raise ModelError(f"{path}: the file holds no section; a definition begins with [net]")
    return sections


def read_key_values(path: Path) -> Mapping[str, str]:
    """The options of a file without sections, such as Darknet's `.data` files.

    Raises ModelError naming file and line for any other line.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(_text(path).splitlines(), start=1):
        line = _significant(raw)
        key, equals, value = line.partition("=")
        if line and not (key and equals and value):
            raise ModelError(f"{path}:{number}: {_shortened(line)!r} is not key=value; correct it")
        if line:
            found.setdefault(key, value)
    return found


def _significant(raw: str) -> str:
    line = "".join(raw.split())
    for mark in "#;":
        line = line.partition(mark)[0]
    return line


def _section(path: Path, line: str, number: int) -> Section:
    name = line[1:].removesuffix("]")
    if not line.endswith("]") or not name:
        raise ModelError(f"{path}:{number}: {_shortened(line)!r} is not a section; write [name]")
    return Section(path, name, number)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAXIMUM_SIZE:
            raise ModelError(
                f"{path}: {path.stat().st_size} bytes are too many for a Darknet text file; "
                "are the network and the weights exchanged?"
            )
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if b"\0" in data:
        raise ModelError(
            f"{path}: byte offset {data.index(0)} holds a zero, so this is not a text file; "
            "are the network and the weights exchanged?"
        )
    return data.decode("utf-8-sig", errors="replace")


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
