"""Memory and order of a network's layers, where some may run beside each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..graph import Network
from ..memory import MemoryPlan, MemoryPlanner
from ..memory.hazards import Access, accesses, predecessors
from ..memory.lanes import Lanes, schedule, with_memory
from .planned import PlannedNetwork

LAUNCH = 4 << 20
"""What starting a layer costs, in bytes that could be moved meanwhile."""

CROSSING = LAUNCH // 4
"""What waiting for a layer of another lane costs."""

GROWTH = 1.1
"""How much larger the arena may be, so that layers beside each other find room."""

GROWTH_BYTES = 8 << 20
"""It may always be larger by so much."""


@dataclass(frozen=True)
class Arrangement:
    """A memory plan, and the lanes it is for; None where layers run one after the other."""

    plan: MemoryPlan
    lanes: Lanes | None = None

    @property
    def count(self) -> int:
        """Lanes in use."""
        return 1 if self.lanes is None else self.lanes.count


def costs_of(network: Network, found: list[Access]) -> list[float]:
    """About how long each layer takes, in bytes. Who writes nothing launches nothing."""
    costs = []
    for layer, access in zip(network.layers, found, strict=True):
        weights = sum(t.desc.nbytes for t in layer.present_inputs if t.is_constant)
        costs.append(float(LAUNCH + access.nbytes + weights) if access.writes else 0.0)
    return costs


def arrange(
    planned: PlannedNetwork, planner: MemoryPlanner, plan: MemoryPlan, count: int,
    alone: Collection[int] = (),
) -> Arrangement:  # fmt: skip
    """Memory for layers on up to `count` lanes; `plan` is what one lane needs. The layers at the
    positions `alone` run beside no other one.

    Where room for layers beside each other would make the arena too large, only those run so
    that share nothing in the smallest one.
    """
    network, aliasing = planned.network, planned.aliasing
    if count < 2:
        return Arrangement(plan)

    def lanes_in(memory: MemoryPlan) -> Lanes:
        found = accesses(network, memory, aliasing)
        return schedule(
            predecessors(found, alone), costs_of(network, found), count, float(CROSSING)
        )

    nothing_shared = planner.plan([0] * (len(network.layers) + 1))
    wanted = lanes_in(nothing_shared)
    if wanted.is_chain:
        return Arrangement(plan)
    roomy = planner.plan(wanted.before)
    if roomy.arena_size <= max(plan.arena_size * GROWTH, plan.arena_size + GROWTH_BYTES):
        needed = predecessors(accesses(network, roomy, aliasing), alone)
        return Arrangement(roomy, with_memory(wanted, needed))
    possible = lanes_in(plan)
    return Arrangement(plan, None if possible.is_chain else possible)
