"""The user's folder of packed weights: `packed-weights` in `$XDG_CACHE_HOME/plugrt`, else in
`~/.cache/plugrt`; the environment variable PLUGRT_PACKED_CACHE names another one, or is `off`.

The folder is made for its owner alone; one that others may write is not used, and files of
others, or that others may write, are not read. Files appear complete or not at all; the least
recently used go first. Whatever the disk refuses, nothing is raised.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ...plugins.native.user_cache import user_cache

VARIABLE = "PLUGRT_PACKED_CACHE"
LIMIT_BYTES = 4 << 30
"""Bytes of all files together."""

SPARE_FACTOR = 2
"""A file is written where the disk has room for so many of it."""

_RETOUCH_SECONDS = 3600
_ABANDONED_SECONDS = 3600


def folder() -> Path | None:
    """Where packed weights are kept; None when that is switched off."""
    return user_cache("packed-weights", VARIABLE)


def is_enabled() -> bool:
    """Whether there is a folder."""
    return folder() is not None


def open_own(path: Path) -> int | None:
    """A descriptor of a file that is the user's own, for reading; None where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    state = os.fstat(handle)
    if not (stat.S_ISREG(state.st_mode) and _is_own(state)):
        os.close(handle)
        return None
    with suppress(OSError):  # a mark of use; a read-only cache serves as well
        if time.time() - state.st_mtime > _RETOUCH_SECONDS:
            os.utime(path)
    return handle


def write_own(path: Path, chunks: Iterable[bytes | memoryview], nbytes: int) -> bool:
    """Write a file beside its place and rename it; False where that cannot be."""
    place = path.parent
    temporary = place / f".{path.name}.{secrets.token_hex(8)}"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk = os.statvfs(place)
        enough = disk.f_bavail * disk.f_frsize >= SPARE_FACTOR * nbytes
        if not enough or nbytes > LIMIT_BYTES or not _is_own(place.stat()):
            return False
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        return False
    _shrink(place)
    return True


def used_bytes() -> int:
    """Bytes of all files in the folder."""
    place = folder()
    return 0 if place is None else sum(size for _, size, _ in _entries(place))


def _is_own(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _entries(place: Path) -> list[tuple[float, int, Path]]:
    found = []
    with suppress(OSError):
        for path in place.iterdir():
            with suppress(OSError):  # another process may have removed it
                state = path.lstat()
                found.append((state.st_mtime, state.st_size, path))
    return sorted(found, key=lambda entry: entry[:2])


def _shrink(place: Path) -> None:
    entries = _entries(place)
    total = sum(size for _, size, _ in entries)
    for used, size, path in entries:
        is_abandoned = path.name.startswith(".") and time.time() - used > _ABANDONED_SECONDS
        if total > LIMIT_BYTES or is_abandoned:
            with suppress(OSError):
                path.unlink()
            total -= size
