"""Files that a command writes: checked before the work, renamed into place after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from plugrt.plugins import PlugrtError

Writer = Callable[[BinaryIO], None]


def check_target(
    path: Path, option: str, sources: Iterable[Path | None] = (), *, makes_folder: bool = False
) -> None:
    """Whether a file can be written at `path` without harming one of `sources`.

    Raises PlugrtError. Called early, so that a long build does not end in vain. With
    `makes_folder` the writer makes an absent folder itself.
    """
    if path.is_dir():
        raise PlugrtError(f"{option} {path} is a folder; give a file name")
    if path.exists() and not path.is_file():
        raise PlugrtError(f"{option} {path} is no regular file; give another name")
    for source in sources:
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise PlugrtError(f"{option} {path} is also read and would be lost; give another name")
    if not makes_folder and not path.parent.exists():
        raise PlugrtError(f"{option} {path}: there is no folder {path.parent}; make it first")
    check_folder(path.parent, f"{option} {path}")


def check_folder(folder: Path, what: str) -> None:
    """Whether files can be written into `folder`, which need not exist yet.

    Raises PlugrtError, which begins with `what`.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise PlugrtError(f"{what}: {existing} is a file; give a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PlugrtError(f"{what}: folder {existing} is not writable")


def write_together(folder: Path, writers: Mapping[str, Writer]) -> None:
    """Write several files of a folder, made if absent; they appear when all are complete."""
    made = _make_folder(folder)
    temporaries: dict[str, Path] = {}
    try:
        for name, writer in writers.items():
            temporaries[name] = _write_beside(folder / name, writer)
        for name, temporary in temporaries.items():
            os.replace(temporary, folder / name)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it."""
    os.replace(_write_beside(path, lambda file: _put(file, text)), path)


def _put(file: BinaryIO, text: str) -> None:
    file.write(text.encode("utf-8", "backslashreplace"))


def _write_beside(path: Path, writer: Writer) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".plugrt.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            writer(file)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder with its parents; the new ones, innermost first."""
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return absent
