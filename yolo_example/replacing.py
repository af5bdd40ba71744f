"""Files that appear whole or not at all, and folders for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from plugrt.plugins import PlugrtError


class FileError(PlugrtError):
    """A file cannot be read or written."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends well, else vanishes.

    Raises FileError when it cannot be written.
    """
    try:
        handle, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as failure:
        os.unlink(temporary)
        if isinstance(failure, OSError):
            raise FileError(f"{path}: cannot be written ({failure.strerror})") from None
        raise


def make_folder(folder: Path) -> None:
    """A folder with those above it. Raises FileError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: the folder cannot be made ({error.strerror})") from None


def _umask() -> int:
    # Reading it means setting it for a moment.
    value = os.umask(0)
    os.umask(value)
    return value
