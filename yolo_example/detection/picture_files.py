"""Which pictures are meant by files, folders and patterns."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from glob import glob, has_magic
from pathlib import Path

from PIL import Image

from ..replacing import FileError


def find_pictures(inputs: Iterable[str], leave_out: Path | None = None) -> list[Path]:
    """The pictures that `inputs` name, in their order.

    A file is taken whatever its name. A folder stands for the pictures in it and in the folders
    below, sorted by name; hidden ones and the folder `leave_out` are passed over. A pattern with
    `*`, `?` or `[...]` stands for the pictures and folders that match; `**` matches any folders.
    What is a picture there is told by the suffix.

    Raises FileError where an input names nothing.
    """
    omitted = leave_out.resolve() if leave_out else None
    found: list[Path] = []
    for text in inputs:
        found += _find(text, omitted)
    return found


def pictures_below(folder: Path, omitted: Path | None = None) -> Iterator[Path]:
    """The pictures in a folder and all below, sorted; without hidden ones and `omitted`."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and (here / f).resolve() != omitted
        )
        yield from (here / f for f in sorted(files) if not f.startswith(".") and is_picture(f))


def is_picture(name: str | Path) -> bool:
    """Whether a file of this name is a picture that can be read, judged by its suffix."""
    return Path(name).suffix.lower() in _suffixes()


def _find(text: str, omitted: Path | None) -> Sequence[Path]:
    path = Path(text)
    if path.is_dir():
        found = list(pictures_below(path, omitted))
        if not found:
            raise FileError(f"{path}: there are no pictures in this folder or those below it")
        return found
    if path.exists() or not has_magic(text):
        if not path.exists():
            raise FileError(f"{path}: no such file or folder")
        return [path]
    found = []
    for match in map(Path, sorted(glob(text, recursive=True))):
        if match.is_dir():
            # `**` gives the folders themselves, and then everything in them.
            found += [] if "**" in path.parts else pictures_below(match, omitted)
        elif is_picture(match):
            found.append(match)
    if not found:
        raise FileError(f"{text}: no picture matches this pattern")
    return found


@cache
def _suffixes() -> frozenset[str]:
    readable = Image.registered_extensions()
    # Documents and videos are not meant when a folder is named.
    unlikely = {".pdf", ".ps", ".eps", ".mpg", ".mpeg", ".h5", ".hdf"}
    return frozenset(s for s, kind in readable.items() if kind in Image.OPEN) - unlikely
