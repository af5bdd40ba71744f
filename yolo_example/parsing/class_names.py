"""Names of classes: `.names` files, and `.data` files that point at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plugrt.plugins import ModelError, PlugrtError

from ..text_files import read_text
from .cfg_reader import read_key_values


def read_names(path: Path) -> tuple[str, ...]:
    """One name per line; empty lines at the end do not count.

    Raises ModelError when the file cannot be read, is not text or holds no name.
    """
    names = read_text_lines(path, "names", "one name per line")
    return tuple(name or f"class {index}" for index, name in enumerate(names))


def enough_names(names: Sequence[str], classes: int) -> tuple[str, ...]:
    """The names that a user gives for a plan's classes, or none. Raises PlugrtError for too few."""
    if names and len(names) < classes:
        raise PlugrtError(
            f"{len(names)} names are given, but the plan has {classes} classes; give the names "
            "the net was trained with"
        )
    return tuple(names)


def read_text_lines(path: Path, what: str, wanted: str) -> list[str]:
    """The lines of a small text file without blanks round them, and without empty ones at the
    end.

    Raises ModelError when the file cannot be read, is not text or is empty; `what` it holds and
    the form in which that is `wanted` are for the message.
    """
    text = read_text(path, what, f"a file with {wanted}")
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or "\0" in text:
        raise ModelError(f"{path}: no {what}; give a file with {wanted}")
    return lines


def read_data_file(path: Path) -> tuple[str, ...]:
    """The names that a `.data` file points at, beside itself or from the working directory.

    Raises ModelError when it names no such file.
    """
    options = read_key_values(path)
    named = options.get("names") or options.get("labels")
    if named is None:
        raise ModelError(f"{path}: there is no names=FILE; add it, or give --names FILE")
    candidates = [path.parent / named, Path(named), path.parent / Path(named).name]
    for candidate in candidates:
        if candidate.is_file():
            return read_names(candidate)
    raise ModelError(
        f"{path}: names={named} is not found beside it or in the working directory; "
        "correct it, or give --names FILE"
    )
