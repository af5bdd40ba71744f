"""How thoroughly a candidate is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Effort:
    """Runs go on until there are `least` of them and they have taken `seconds`, or there are
    `most`. `margins` says after how many runs a candidate is given up that is slower than
    another one by more than this part."""

    name: str
    least: int
    most: int
    seconds: float
    margins: tuple[tuple[int, float], ...] = ()

    def measure(self, run: Callable[[], float], best_so_far: float = inf) -> float:
        """The time of a candidate: a low quantile of its runs, which other processes have
        disturbed least, and of few runs the least.

        `run` runs it once and returns seconds.
        """
        times: list[float] = []
        margins = dict(self.margins)
        while len(times) < self.least or (len(times) < self.most and sum(times) < self.seconds):
            times.append(run())
            margin = margins.get(len(times), inf)
            if min(times) > best_so_far * (1 + margin):
                break
        return sorted(times)[len(times) // 8]


FAST = Effort("fast", 6, 32, 8e-3, ((1, 4.0), (2, 1.0), (3, 0.4), (6, 0.2), (12, 0.1)))
"""Most candidates are clearly slower than the best and are run two or three times."""

FULL = Effort("full", 15, 100, 50e-3)
