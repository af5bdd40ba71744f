"""Compiled kernels on disk.

The folder is `cuda-kernels` in `$XDG_CACHE_HOME/plugrt` (`~/.cache/plugrt`); the environment
variable PLUGRT_KERNEL_CACHE names another one, or is `off`. Files appear complete or not at
all; a damaged one counts as absent. The least recently used go first when all together
exceed LIMIT_BYTES.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..user_cache import user_cache

VARIABLE = "PLUGRT_KERNEL_CACHE"
LIMIT_BYTES = 512 << 20
_MAGIC = b"PLUGRTK1"
_DIGEST_BYTES = 32
_RETOUCH_SECONDS = 3600

_unseen_bytes = LIMIT_BYTES
"""Written by this process since it last looked how much there is, which takes milliseconds."""


@runtime_checkable
class Storable(Protocol):
    """Something compiled, as the cache keeps it."""

    @property
    def identity(self) -> Hashable:
        """Equal for what is stored alike, on one GPU."""

    def stored(self, ordinal: int) -> tuple[str, bytes]:
        """Its key and payload for a GPU."""


def folder() -> Path | None:
    """Where kernels are kept; None when the cache is switched off."""
    return user_cache("cuda-kernels", VARIABLE)


def read(key: str) -> bytes | None:
    """What was stored under a key (hexadecimal); None when there is nothing sound."""
    place = folder()
    if place is None:
        return None
    path = place / key
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = data[start:]
    if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(payload).digest() != data[len(_MAGIC):start]:
        with suppress(OSError):
            path.unlink()
        return None
    with suppress(OSError):  # a mark of use; a read-only cache serves as well
        if time.time() - path.stat().st_mtime > _RETOUCH_SECONDS:
            os.utime(path)
    return payload


def write(key: str, payload: bytes) -> None:
    """Store under a key; where the disk does not allow it, nothing happens."""
    place = folder()
    if place is None:
        return
    temporary = place / f".{key}.{secrets.token_hex(8)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_MAGIC + hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, place / key)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        return
    global _unseen_bytes
    _unseen_bytes += len(payload)
    if _unseen_bytes * 64 >= LIMIT_BYTES:
        _unseen_bytes = 0
        _shrink(place)


def _shrink(place: Path) -> None:
    entries = []
    for path in place.iterdir():
        with suppress(OSError):  # another process may have removed it
            state = path.stat()
            entries.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries, key=lambda entry: entry[0]):
        if total <= LIMIT_BYTES:
            return
        with suppress(OSError):
            path.unlink()
        total -= size
