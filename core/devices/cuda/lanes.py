"""How many layers run beside each other on a GPU, where nothing was measured."""

from __future__ import annotations

from statistics import median

from ...graph import Layer
from ...memory import MemoryPlan
from ...memory.hazards import accesses
from ...passes.copying import graph_attributes
from ...runtime.arrangement import costs_of
from ...runtime.planned import PlannedNetwork

MOST_LANES = 4
"""More are not tried: a GPU is full by then, and branches are few."""

SMALL = 32 << 20
"""A layer that costs less, in bytes that could be moved meanwhile, leaves much of a GPU idle: up to
batch 8 of the nets measured lanes gained something everywhere."""


def lanes_for(planned: PlannedNetwork, plan: MemoryPlan) -> int:
    """What was measured, else as many as are worth it where layers are small."""
    if planned.lanes is not None:
        return planned.lanes
    network = planned.network
    costs = costs_of(network, accesses(network, plan, planned.aliasing))
    return MOST_LANES if costs and median(costs) < SMALL else 1


def runs_alone(layer: Layer) -> bool:
    """Whether a layer splits the graph, or may: it runs on the host, or has bodies."""
    plugin = layer.plugin
    if graph_attributes(plugin):
        return True
    if layer.kernel is not None:
        return False
    return layer.on_host or not plugin.recordable or "cuda" not in plugin.devices
