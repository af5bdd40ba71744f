"""Where tensors live: aliasing decided at build, offsets in one arena computed per shape."""

from .aliasing import Aliasing, decide_aliasing
from .plan import MemoryPlan, MemoryPlanner, Placement, plan_memory

__all__ = [
    "Aliasing", "MemoryPlan", "MemoryPlanner", "Placement", "decide_aliasing", "plan_memory",
]  # fmt: skip
