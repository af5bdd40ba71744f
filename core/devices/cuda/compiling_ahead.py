"""What a context needs compiled, done at once before the first layer is recorded."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ....plugins import DeviceError
from ....plugins.native.cuda import cudnn
from ...graph.naming import naming_layer
from ...memory import MemoryPlan
from ...runtime.planned import PlannedNetwork
from ..target import Target


def compile_ahead(planned: PlannedNetwork, plan: MemoryPlan, ordinal: int) -> None:
    """Put what the layers outside bodies need into the disk cache of kernels, by as many processes
    as it is worth. What fails is told when its layer is recorded."""
    target = Target("cuda", ordinal)
    wanted: dict[Any, None] = {}
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
        wanted.update(dict.fromkeys(found))
    if wanted:
        with suppress(DeviceError):
            cudnn.build_ahead(list(wanted), ordinal)
