"""What a plan holds, as plain data: the content of `plugrt inspect --json`.

The keys are stable: later versions may add some, never rename or drop one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plugrt import Engine, Layer, Tensor
from plugrt.core.graph import Network
from plugrt.core.memory import plan_memory
from plugrt.core.memory.plan import MemoryPlan
from plugrt.core.passes.copying import graph_attributes
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugins import Dim, TensorDesc
from plugrt.plugins.dims import evaluate_shape

Description = dict[str, Any]


def describe_engine(engine: Engine, sizes: Mapping[str, int]) -> Description:
    """Everything that can be told without running; memory and shapes at `sizes`."""
    planned = engine.planned
    plan = plan_memory(planned.network, sizes, planned.aliasing)
    packed = packed_estimate(engine)
    return {
        "name": planned.network.name,
        "precision": engine.info.precision,
        "threads": engine.info.threads,
        "api_version": engine.info.api_version,
        "metadata": dict(engine.metadata),
        "device": dict(engine.info.fingerprint),
        "profiles": {
            name: {"minimum": least, "optimum": best, "maximum": most}
            for name, (least, best, most) in engine.info.profiles.items()
        },
        "sizes": dict(sizes),
        "inputs": [_port(name, desc) for name, desc in engine.inputs.items()],
        "outputs": [_port(name, desc) for name, desc in engine.outputs.items()],
        "layers": _layers(planned, sizes, plan),
        "memory": {
            **_memory(plan),
            "weights": weight_bytes(engine),
            "packed_weights": packed,
            "peak": plan.arena_size + packed,
        },
    }


def weight_bytes(engine: Engine) -> int:
    """Bytes of the constants of an engine, bodies included; shared arrays count once."""
    arrays: dict[int, int] = {}
    for network in _networks(engine.planned):
        for tensor in network.tensors.values():
            if tensor.is_constant and tensor.value is not None:
                arrays[id(tensor.value)] = tensor.value.nbytes
    return sum(arrays.values())


def packed_estimate(engine: Engine) -> int:
    """About the bytes of weights in memory once the engine runs: each constant in the form that
    its readers keep, by what their tactics say of it. (The plain form of packed ones leaves
    memory where a plan was loaded from a file.)"""
    found: dict[tuple[int, float], float] = {}
    for network in _networks(engine.planned):
        for layer in network.layers:
            growth = layer.plugin.tactic.weight_growth
            for tensor in layer.present_inputs:
                if tensor.is_constant and tensor.value is not None:
                    # Vectors are read as they are.
                    factor = growth if tensor.value.ndim > 1 else 1.0
                    found[id(tensor.value), factor] = tensor.value.nbytes * factor
    return round(sum(found.values()))


def _networks(planned: PlannedNetwork) -> Iterator[Network]:
    """A network and all bodies in it."""
    yield planned.network
    for body in planned.bodies.values():
        yield from _networks(body)


def _port(name: str, desc: TensorDesc) -> Description:
    shape = [str(dim) if isinstance(dim, Dim) else int(dim) for dim in desc.shape]
    return {"name": name, "type": desc.dtype.value, "shape": shape}


def _memory(plan: MemoryPlan) -> Description:
    return {
        "arena": plan.arena_size,
        "live_maximum": plan.live_maximum,
        "workspace": max((size for _, size in plan.workspaces.values()), default=0),
        "ratio": plan.arena_size / plan.live_maximum if plan.live_maximum else 1.0,
        "without_sharing": plan.sum_of_tensors,
        "lifetimes": [
            {"first": first, "last": last, "bytes": size, "offset": offset}
            for first, last, size, offset in plan.lifetimes
        ],
    }


def _layers(
    planned: PlannedNetwork, sizes: Mapping[str, int], plan: MemoryPlan | None
) -> list[Description]:
    return [
        _layer(planned, position, layer, sizes, plan)
        for position, layer in enumerate(planned.network.layers)
    ]


def _layer(
    planned: PlannedNetwork, position: int, layer: Layer, sizes: Mapping[str, int],
    plan: MemoryPlan | None,
) -> Description:  # fmt: skip
    sharing = planned.aliasing.get(layer)
    _, workspace = plan.workspaces.get(position, (0, 0)) if plan is not None else (0, 0)
    described: Description = {
        "position": position,
        "name": layer.name,
        "type": layer.plugin.type,
        "version": layer.plugin.version,
        "role": layer.plugin.role,
        "tactic": layer.plugin.tactic.name,
        "kernel": layer.kernel,
        "fused": list(layer.fused),
        "inputs": [_tensor(t, sizes, plan) for t in layer.present_inputs],
        "outputs": [_tensor(t, sizes, plan) for t in layer.outputs],
        "in_place": sharing.in_place if sharing else None,
        "slices": sorted(sharing.slices) if sharing else [],
        "views": sorted(sharing.views) if sharing else [],
        "workspace": workspace,
    }
    bodies = {
        name: _layers(planned.body(body), {}, None)
        for name, body in graph_attributes(layer.plugin).items()
    }
    if bodies:
        described["bodies"] = bodies
    return described


def _tensor(tensor: Tensor, sizes: Mapping[str, int], plan: MemoryPlan | None) -> Description:
    described: Description = {
        "name": tensor.name,
        "type": tensor.dtype.value,
        "shape": _shape(tensor, sizes, concrete=plan is not None),
        "format": tensor.format.value,
        "constant": tensor.is_constant,
    }
    if tensor.quantization is not None:
        described["quantization"] = {
            "scale": list(tensor.quantization.scale),
            "zero_point": list(tensor.quantization.zero_point),
            "axis": tensor.quantization.axis,
        }
    placement = plan.placements.get(id(tensor)) if plan is not None else None
    if placement is not None:
        described["memory"] = {
            "where": placement.where,
            "buffer": placement.buffer,
            "offset": placement.offset,
            "bytes": placement.desc.nbytes,
        }
    return described


def _shape(tensor: Tensor, sizes: Mapping[str, int], concrete: bool) -> list[int | str]:
    """Numbers, data-dependent sizes at their bound; inside a body, where sizes come with
    each call, symbols stay names."""
    if concrete:
        return list(evaluate_shape(tensor.shape, sizes))
    return [str(dim) if isinstance(dim, Dim) else int(dim) for dim in tensor.shape]
