"""Where a plan came from: a key for what was prepared for it, found without reading all of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress

from .cache_folder import folder, open_own, write_own

_DIGEST_CHARACTERS = 64
_PIECE_BYTES = 8 << 20


class PlanSource:
    """The bytes of a plan, and the file that they were mapped from, if any.

    Packed weights belong to the SHA-256 of all bytes, since the checksums inside a plan could be
    forged. Which digest a file has is remembered by its identity: device, number, size and times.
    """

    def __init__(self, data: memoryview, file: os.stat_result | None = None) -> None:
        self._data = data
        self._identity = None
        if file is not None:
            facts = (file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns)
            self._identity = hashlib.sha256(repr(facts).encode()).hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes of the plan."""
        return self._data.nbytes

    @property
    def is_file(self) -> bool:
        """Whether it may be known from an earlier load."""
        return self._identity is not None

    def known_digest(self) -> str | None:
        """The digest, if an earlier load of the same file has computed it."""
        place = folder()
        if place is None or self._identity is None:
            return None
        handle = open_own(place / f"{self._identity}.plan")
        if handle is None:
            return None
        with os.fdopen(handle, "rb") as file, suppress(OSError):
            found = file.read(_DIGEST_CHARACTERS + 1).decode("ascii", "replace")
            if len(found) == _DIGEST_CHARACTERS and found.isalnum():
                return found
        return None

    def digest(self, release: Callable[[], None] = lambda: None) -> str:
        """The SHA-256 of all bytes, which takes 60 ms for 100 MB. `release` gives their memory
        back in between."""
        state = hashlib.sha256()
        for start in range(0, self._data.nbytes, _PIECE_BYTES):
            state.update(self._data[start : start + _PIECE_BYTES])
            release()
        return state.hexdigest()

    def remember(self, digest: str) -> None:
        """Let later loads of this file know its digest."""
        place = folder()
        if place is not None and self._identity is not None:
            write_own(place / f"{self._identity}.plan", [digest.encode()], _DIGEST_CHARACTERS)
