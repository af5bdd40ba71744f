"""How long idle threads of an OpenMP team spin before they sleep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPIN_COUNT = "4000"
"""Some 50 microseconds: longer than from one layer to the next, shorter than a turn of the
system's scheduler. libgomp's own 300,000 are milliseconds in which, on a busy machine, the
thread that is waited for does not get the processor: a call then takes hundreds of times as long.
"""

_SPIN = "GOMP_SPINCOUNT"
_DECIDED = (_SPIN, "OMP_WAIT_POLICY")


@contextmanager
def short_spinning() -> Iterator[None]:
    """For the time in which libgomp is loaded, when it reads its environment; what the user has
    set stays, and so does the environment of child processes."""
    if any(name in os.environ for name in _DECIDED):
        yield
        return
    os.environ[_SPIN] = SPIN_COUNT
    try:
        yield
    finally:
        os.environ.pop(_SPIN, None)
