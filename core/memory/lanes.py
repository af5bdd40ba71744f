"""Layers on lanes: which may run beside each other, and what each must wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lanes:
    """A schedule. Layers of one lane run one after the other, in execution order."""

    lane: list[int]
    """The lane of every layer."""

    after: list[tuple[int, ...]]
    """The earlier layers that each must wait for: no more than that takes, since each of them
    is waited for by way of none of the others."""

    before: list[int]
    """For every layer, a mask of all that are done when it begins; one more for the end."""

    cost: float
    """How long everything takes, in the unit of the layers' costs."""

    @property
    def count(self) -> int:
        """Lanes in use."""
        return len(set(self.lane))

    @property
    def is_chain(self) -> bool:
        """Whether every layer waits for the one before it."""
        return all(list(found) == [k - 1] for k, found in enumerate(self.after) if k)


def schedule(
    predecessors: Sequence[int], costs: Sequence[float], count: int, crossing: float = 0.0
) -> Lanes:
    """Put each layer, in execution order, on the lane of `count` where it can begin first.

    `predecessors` are masks of the layers that each must follow. Waiting for a layer of another
    lane costs `crossing`.
    """
    ends: list[float] = []
    lane: list[int] = []
    free, last = [0.0] * count, [-1] * count
    for position, mask in enumerate(predecessors):
        wanted = members(mask)

        def start(
            candidate: int, wanted: Sequence[int] = wanted
        ) -> tuple[float, bool, int]:
            ready = [ends[k] + (crossing if lane[k] != candidate else 0) for k in wanted]
            return max([free[candidate], *ready]), last[candidate] not in wanted, candidate

        begin, _, chosen = min(map(start, range(count)))
        lane.append(chosen)
        ends.append(begin + costs[position])
        free[chosen], last[chosen] = ends[-1], position
    return _on(lane, predecessors, max(ends, default=0.0))


def with_memory(known: Lanes, predecessors: Sequence[int]) -> Lanes:
    """The same lanes for layers that must follow others too, now that their memory is known."""
    return _on(known.lane, predecessors, known.cost)


def _on(lane: list[int], predecessors: Sequence[int], cost: float) -> Lanes:
    after: list[tuple[int, ...]] = []
    before: list[int] = []
    last: dict[int, int] = {}
    for position, mask in enumerate(predecessors):
        direct = mask
        if lane[position] in last:
            direct |= 1 << last[lane[position]]
        behind = 0
        for k in members(direct):
            behind |= before[k]
        after.append(tuple(members(direct & ~behind)))
        before.append(behind | direct)
        last[lane[position]] = position
    return Lanes(list(lane), after, [*before, (1 << len(before)) - 1], cost)


def members(mask: int) -> list[int]:
    """The numbers of the bits that are set."""
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
