"""What a context needs compiled, done at once before the first layer is recorded."""

from __future__ import annotations

from typing import Any

from ...graph.naming import naming_layer
from ...memory import MemoryPlan
from ...runtime.planned import PlannedNetwork
from ..target import Target
from .compiling import compile_all


def compile_ahead(planned: PlannedNetwork, plan: MemoryPlan, ordinal: int) -> None:
    """Put what the layers outside bodies need into the disk cache of kernels, by as many threads
    and processes as it is worth. What fails is told when its layer is recorded."""
    target = Target("cuda", ordinal)
    wanted: list[Any] = []
    for layer in planned.network.layers:
        if layer.on_host or layer.kernel is not None:
            continue
        inputs = [
            None if t is None else t.desc if t.is_constant else plan.of(t).desc
            for t in layer.inputs
        ]
        outputs = [plan.of(t).desc for t in layer.outputs]
        request = target.request(inputs, outputs, layer.epilogue)
        with naming_layer(layer.name, layer.plugin, "getCompilations()"):
            found = layer.plugin.getCompilations(request, [layer.plugin.tactic])
        wanted += found
    if wanted:
        compile_all(wanted, ordinal)
