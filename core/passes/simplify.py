"""The portable graph: constants folded, layers' own rewrites applied, dead layers removed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...plugins import DataType, PassPlugin, Patch, PlugrtError
from ..graph import Layer, Network
from .copying import graph_attributes
from .patching import apply_patch, remove_dead_layers

Report = Callable[[str], None]


def simplify(network: Network, report: Report = lambda line: None) -> None:
    """Rewrite `network` in place until nothing more applies."""
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            simplify(body, report)
    passes = network.registry.passes("simplify")
    remove_dead_layers(network)
    while _fold_constants(network, report) or _rewrite_once(network, passes, report):
        pass


def _rewrite_once(network: Network, passes: list[type[PassPlugin]], report: Report) -> bool:
    changed = False
    for layer in list(network.layers):
        if layer not in network.layers:
            continue
        patch = layer.plugin.rewrite(layer)
        if patch is not None and apply_patch(network, patch):
            report(f"{layer.name}: rewritten by {layer.plugin.type}")
            changed = True
    for graph_pass in passes:
        for patch in list(graph_pass().run(list(network.layers))):
            if _still_there(network, patch) and apply_patch(network, patch):
                report(f"pass {graph_pass.name}: graph rewritten")
                changed = True
    return changed


def _still_there(network: Network, patch: Patch) -> bool:
    return all(network.tensors.get(old.name) is old for old, _ in patch.replacements)


def _fold_constants(network: Network, report: Report) -> bool:
    changed = False
    for layer in list(network.layers):
        values = _constant_outputs(layer)
        if values is None:
            continue
        for tensor, value in zip(list(layer.outputs), values, strict=True):
            array = np.ascontiguousarray(value, dtype=tensor.dtype.numpy).reshape(tensor.desc.sizes)
            name = tensor.name
            fresh = network.add_constant(network.unique_name(f"{name}.folded"), array)
            fresh.quantization = tensor.quantization
            network.replace_tensor(tensor, fresh)
        report(f"{layer.name}: computed at build time")
        changed = True
    if changed:
        remove_dead_layers(network)
    return changed


def _constant_outputs(layer: Layer) -> list[object] | None:
    """The outputs' values when they do not depend on the network's inputs."""
    if all(t.is_constant for t in layer.outputs):
        return [t.value for t in layer.outputs] if any(
            t.uses or t.is_output for t in layer.outputs
        ) else None
    inputs = layer.inputs
    if not inputs or not all(t is None or t.is_constant for t in inputs):
        return None
    if layer.plugin.role is not None and layer.outputs[0].dtype is not DataType.FLOAT32:
        return None
    try:
        return layer.plugin.reference([None if t is None else t.value for t in inputs])
    except PlugrtError:
        return None  # no reference: the layer runs at every inference


__all__ = ["simplify"]
