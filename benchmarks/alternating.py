"""Timing several contestants fairly: alternating blocks, medians, bootstrap intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Contestant = Callable[[], object]


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"value": round(self.value, 4), "low": round(self.low, 4),
                "high": round(self.high, 4)}  # fmt: skip


def alternate(
    contestants: Mapping[str, Contestant], seconds: float, block: int = 5
) -> dict[str, np.ndarray]:
    """Medians of blocks of calls, shape (blocks,) per contestant.

    The contestants take turns block by block, and every second round runs in reverse order,
    so that slow drifts of the machine meet all of them alike.
    """
    for run in contestants.values():
        for _ in range(block):
            run()
    medians: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    clock = time.perf_counter
    end = clock() + seconds
    while clock() < end or len(medians[order[0]]) < 10:
        for name in order:
            run = contestants[name]
            run()  # brings its code and weights back into the caches
            times = []
            for _ in range(block):
                start = clock()
                run()
                times.append(clock() - start)
            medians[name].append(float(np.median(times)))
        order.reverse()
    return {name: np.array(values) for name, values in medians.items()}


def ratio(ours: np.ndarray, theirs: np.ndarray, samples: int = 2000) -> Ratio:
    """ours / theirs as the median of the blocks' paired ratios, bootstrapped over blocks."""
    logs = np.log(ours / theirs)
    draw = np.random.default_rng(0).integers(0, len(logs), (samples, len(logs)))
    means = np.median(logs[draw], axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Ratio(float(np.exp(np.median(logs))), float(np.exp(low)), float(np.exp(high)))
