"""Packed weights of an engine on disk, so that a later load needs no packing.

One file holds the packed forms of one plan, made by one version of the code on one kind of
machine. It is looked up and checked on a thread of its own while the plan is read, and written
by one of low priority after a recording had to pack. A file that is missing, stale, damaged
or somebody else's means packing again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from enum import Enum
from pathlib import Path

import numpy as np

from ...plugins import Array
from .cache_folder import folder
from .packed_file import PackedFile, write_packed_file
from .plan_source import PlanSource

NICENESS = 10
"""Of the thread that writes: a tenth of a busy processor. With less it could keep a process from
ending for long."""

LEAST_BYTES = 1 << 20
"""Less is packed as fast as it is read."""

Key = tuple[object, ...]


class PackedCache:
    """The packed weights of one plan. Thread-safe.

    `code` identifies everything else that the bytes depend on; see `code_identity`.
    """

    def __init__(
        self, source: PlanSource, code: str, release: Callable[[], None] = lambda: None
    ) -> None:
        self._source = source
        self._code = code
        self._release = release
        self._writing = threading.Lock()
        self._validated = False
        self._digest = source.known_digest()
        self._found: PackedFile | None = None
        if self._digest is not None:
            self._found = PackedFile.open(self._path(self._digest))
        self._verified: Future[PackedFile | None] = Future()
        if self._found is None and (source.is_file or self._digest is not None):
            self._verified.set_result(None)  # what a new file is worth is not known yet
        else:
            self._verified = _in_background(self._verify)

    @property
    def is_validated(self) -> bool:
        """Whether this code, on this kind of machine, has found the plan's tactics to be what its
        plug-ins offer."""
        return self._found is not None and self._found.is_validated

    def mark_validated(self) -> None:
        """Tell the next load so."""
        self._validated = True

    def find(self, key: Sequence[object]) -> Array | None:
        """The read-only buffer of a key; waits until the file has been checked."""
        found = self._verified.result()
        text = key_text(key)
        return None if found is None or text is None else found.array(text)

    def store(self, arrays: Mapping[Key, Array]) -> None:
        """Write these and what the file had, on a thread that gives way to every other.

        The process waits for it at its end.
        """
        if sum(array.nbytes for array in arrays.values()) >= LEAST_BYTES:
            with suppress(RuntimeError):  # no more threads, or the interpreter is ending
                threading.Thread(
                    target=self._store, args=(dict(arrays),), name="plugrt-packed", daemon=False
                ).start()

    # ---- on threads of their own ------------------------------------------------------------

    def _verify(self) -> PackedFile | None:
        with suppress(OSError, MemoryError):
            found = self._found
            if self._digest is None:
                self._digest = self._source.digest()
                found = PackedFile.open(self._path(self._digest))
            if found is not None and found.verify():
                return found
        return None

    def _store(self, arrays: Mapping[Key, Array]) -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # of this thread
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        with self._writing, suppress(OSError, MemoryError):
            former = self._verified.result()
            if self._digest is None:
                self._digest = self._source.digest(self._release)
                former = PackedFile.open(self._path(self._digest))  # of a copy of this plan
                if former is not None and not former.verify():
                    former = None
            kept = {} if former is None else {key: former.array(key) for key in former.entries}
            wanted = {text: array for key, array in arrays.items() if (text := key_text(key))}
            merged = {key: array for key, array in {**kept, **wanted}.items() if array is not None}
            validated = self._validated or self.is_validated
            if former is not None:
                validated = validated or former.is_validated
            is_new = former is None or len(merged) > len(kept) or validated > former.is_validated
            if not is_new or write_packed_file(self._path(self._digest), merged, validated):
                self._source.remember(self._digest)

    def _path(self, digest: str) -> Path:
        place = folder() or Path(os.devnull)  # switched off since: nothing is found or written
        name = hashlib.sha256(f"{digest} {self._code}".encode()).hexdigest()
        return place / f"{name}.packed"


def _in_background(
    function: Callable[[], PackedFile | None]
) -> Future[PackedFile | None]:
    executor = ThreadPoolExecutor(1, thread_name_prefix="plugrt-packed")
    try:
        return executor.submit(function)
    except RuntimeError:  # no more threads
        done: Future[PackedFile | None] = Future()
        done.set_result(function())
        return done
    finally:
        executor.shutdown(wait=False)


def key_text(key: Sequence[object]) -> str | None:
    """A key of `WeightStore.pack` as text that means the same in every process; None for one
    with objects whose text may not."""
    try:
        text = _text(tuple(key))
    except TypeError:
        return None
    # Texts of objects may hold addresses.
    return None if " at 0x" in text else hashlib.sha256(text.encode()).hexdigest()


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__module__}.{type(value).__qualname__}.{value.name}"
    if isinstance(value, np.generic):
        return f"{value.dtype.name}:{value.item()!r}"
    if isinstance(value, (tuple, list)):
        return f"({','.join(map(_text, value))})"
    if value is None or type(value) in (str, bytes, int, float, bool):
        return f"{type(value).__name__}:{value!r}"
    raise TypeError(f"{value!r} is not plain")
