"""Contestants in turns, for as long as it takes to tell them apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.alternating import Ratio, ratio


class Runner(Protocol):
    """A contestant."""

    @property
    def kind(self) -> str:
        """Its name."""

    def run(self, calls: int) -> list[float]:
        """Seconds of each call."""


@dataclass(frozen=True)
class Effort:
    """When to stop."""

    seconds: float = 15.0
    """No further round begins after as many, once there were `least_rounds`."""

    least_rounds: int = 7
    scout_rounds: int = 2
    """Rounds with everybody, after which peers far behind the best one leave."""

    narrow: float = 0.02
    """Width of the best peer's 95 % interval, relative to 1, at which to stop."""

    contender: float = 1.2
    """Peers stay whose time is at most so many times the best peer's."""

    turn_seconds: float = 0.1
    """A turn lasts about as long, and three calls at least where they are short."""

    most_calls: int = 1000
    """Of one turn."""


SHORT_CALL = 0.03
"""Seconds of a call below which a turn has three calls at least."""

SHORT_TURN = 3
"""Calls of a turn from which it begins with one that is not timed: it wakes threads and brings
weights back, which the others drove out of the caches. Slow calls would take too long for that,
and their weights fit into no cache."""

REST = 0.02
"""Seconds between turns, in which the threads of the last contestant go to sleep."""


def alternate(
    ours: Runner, peers: Sequence[Runner], effort: Effort,
    clock: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The median seconds of each turn, by contestant; every second round in reverse order.

    Peers that leave after the scouting rounds have fewer turns than `ours`; those they have
    are of the first rounds.
    """
    runners = [ours, *peers]
    calls = {runner.kind: _calls_of_a_turn(runner, effort) for runner in runners}
    turns: dict[str, list[float]] = {runner.kind: [] for runner in runners}
    start = clock()
    rounds = 0
    while rounds < effort.least_rounds or clock() - start < effort.seconds:
        for runner in runners if rounds % 2 == 0 else reversed(runners):
            turns[runner.kind].append(_turn(runner, calls[runner.kind]))
            sleep(REST)
        rounds += 1
        if rounds == effort.scout_rounds:
            runners = [ours, *_contenders(peers, turns, effort.contender)]
        if rounds >= effort.least_rounds and _told_apart(ours, runners[1:], turns, effort.narrow):
            break
    return {kind: np.array(values) for kind, values in turns.items()}


def peer_by_ours(turns: Mapping[str, np.ndarray], ours: str) -> dict[str, Ratio]:
    """The time of each peer by ours, from the rounds in which it took part."""
    return {
        kind: ratio(times, turns[ours][: len(times)])
        for kind, times in turns.items()
        if kind != ours
    }


def _calls_of_a_turn(runner: Runner, effort: Effort) -> int:
    seconds = runner.run(1)[0]
    if seconds < effort.turn_seconds:
        seconds = float(np.median(runner.run(3)))
    least = 3 if seconds < SHORT_CALL else 1
    return max(least, min(effort.most_calls, int(effort.turn_seconds / seconds)))


def _turn(runner: Runner, calls: int) -> float:
    if calls >= SHORT_TURN:
        runner.run(1)
    return float(np.median(runner.run(calls)))


def _contenders(
    peers: Sequence[Runner], turns: Mapping[str, Sequence[float]], limit: float
) -> list[Runner]:
    medians = {peer.kind: float(np.median(turns[peer.kind])) for peer in peers}
    best = min(medians.values(), default=0.0)
    return [peer for peer in peers if medians[peer.kind] <= limit * best]


def _told_apart(
    ours: Runner, peers: Sequence[Runner], turns: Mapping[str, Sequence[float]], narrow: float
) -> bool:
    """Whether the interval of every peer that is still there is narrow."""
    mine = np.array(turns[ours.kind])
    ratios = [ratio(np.array(turns[peer.kind]), mine) for peer in peers]
    return all(found.high - found.low < narrow * found.value for found in ratios)
