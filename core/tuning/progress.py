"""How far the tuning of a build is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """`done` of `total` measurements are made after `seconds`; `remaining` seconds are the
    estimate for the others. `total` may grow: networks inside others follow one by one."""

    done: int
    total: int
    seconds: float
    remaining: float


@dataclass
class ProgressMeter:
    """Counts measurements and tells `listener` of each; keeps the time limit, if there is one."""

    listener: Callable[[Progress], None] | None = None
    limit: float | None = None
    """Seconds after which nothing more is measured."""
    done: int = 0
    total: int = 0
    _start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the tuning began."""
        return time.perf_counter() - self._start

    @property
    def is_over(self) -> bool:
        """Whether the time limit has passed."""
        return self.limit is not None and self.seconds >= self.limit

    def expect(self, count: int) -> None:
        """So many measurements more will be made, as far as one can know."""
        self.total = max(self.total, self.done) + count
        self._tell()

    def advance(self) -> None:
        """One measurement was made."""
        self.done += 1
        self.total = max(self.total, self.done)
        self._tell()

    def _tell(self) -> None:
        if self.listener is None:
            return
        elapsed = self.seconds
        remaining = elapsed / max(self.done, 1) * (self.total - self.done)
        if self.limit is not None:
            remaining = min(remaining, max(self.limit - elapsed, 0.0))
        self.listener(Progress(self.done, self.total, elapsed, remaining))
