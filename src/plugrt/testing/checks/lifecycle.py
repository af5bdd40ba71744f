"""initialize and terminate, and what is left behind."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from pathlib import Path

from ..cases import Case
from ..configurations import has_bodies
from ..execution import Configuration, execute
from ..outcome import CheckFailure, NotApplicable
from ..subject import Subject

ROUNDS = 12
WARM_UP = 4
ALLOWED_BYTES_PER_ROUND = 4096


def terminate_is_safe(subject: Subject) -> None:
    """terminate() without, and twice after, initialize(); then the instance works again."""
    if not subject.cases:
        raise NotApplicable("there are no cases")
    for case in subject.cases[:1]:
        layer = case.layer()
        for what, step in (
            ("without initialize(), as after a failed one,", layer.terminate),
            ("", layer.initialize),
            ("", layer.terminate),
            ("a second time", layer.terminate),
        ):
            try:
                step()
            except Exception as error:
                raise CheckFailure(
                    f"{case}: {step.__name__}() {what} raises {type(error).__name__}: {error}"
                ) from error
    if any(has_bodies(case.layer()) for case in subject.cases):
        return
    for case, configuration in subject.runnable()[:1]:
        layer = case.layer()
        execute(layer, case.inputs, configuration)
        execute(layer, case.inputs, configuration)


def nothing_leaks(subject: Subject) -> None:
    """Loading, recording, running and releasing leaves no files, threads or memory behind."""
    case, configuration = subject.runnable()[0]
    for _ in range(WARM_UP):
        _round(case, configuration)
    files, threads = open_files(), threading.active_count()
    tracemalloc.start()
    try:
        survivors = [_round(case, configuration) for _ in range(WARM_UP)]
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(ROUNDS):
            _round(case, configuration)
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    if any(survivor() is not None for survivor in survivors):
        raise CheckFailure(f"{case}: the instance is kept alive after its recording is gone")
    if open_files() > files:
        raise CheckFailure(f"{case}: {open_files() - files} files stay open")
    if threading.active_count() > threads:
        raise CheckFailure(f"{case}: {threading.active_count() - threads} threads stay alive")
    if growth > ROUNDS * ALLOWED_BYTES_PER_ROUND:
        raise CheckFailure(f"{case}: {growth // ROUNDS} bytes stay allocated after each use")


def _round(case: Case, configuration: Configuration) -> weakref.ref[object]:
    layer = case.layer()
    execute(layer, case.inputs, configuration)
    return weakref.ref(layer)


def open_files() -> int:
    """Open file descriptors of this process; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
