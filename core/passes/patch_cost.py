"""What a patch is worth. Every patch applied lowers a cost, so that rewriting ends."""

from __future__ import annotations

from collections.abc import Sequence

from ...plugins import LayerPlugin, NewTensor, Patch, TensorDesc, TensorNode, product
from ...plugins.dims import evaluate, symbols
from ..graph import Layer, Network

LAYER_COST = 1000
"""What a layer costs beside the elements it touches: a launch is worth some arithmetic."""


def layer_cost(inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> int:
    """Cost of running a layer once, in elements touched; symbolic sizes count as 1."""
    total = LAYER_COST
    for desc in (*inputs, *outputs):
        if not desc.is_constant:
            sizes = {name: 1 for name, s in symbols(desc.shape).items() if s.bound is None}
            total += evaluate(product(desc.shape), sizes)
    return total


def eases_fusion(network: Network, patch: Patch, gone: Sequence[Layer]) -> bool:
    """Whether a patch that costs as much as the layers `gone` leaves more that can fuse: more
    layers that are pointwise, or the same ones nearer to the inputs, before what moves data.

    No result comes later than before, so nothing behind the patch loses what this one gains.
    """
    others = sum(not _is_pointwise(layer.plugin) for layer in gone)
    new_others = sum(not _is_pointwise(new.plugin) for new in patch.layers)
    if new_others != others:
        return new_others < others
    depths = _depths(network)
    made: list[int] = []

    def depth(tensor: TensorNode | NewTensor | None) -> int:
        if isinstance(tensor, NewTensor):
            return made[tensor.layer] if tensor.layer >= 0 else 0
        return 0 if tensor is None else depths.get(id(tensor), 0)

    for new in patch.layers:
        made.append(1 + max(map(depth, new.inputs), default=0))
    later = any(depth(new) > depth(old) for old, new in patch.replacements)
    before = sum(depths[id(x.outputs[0])] for x in gone if _is_pointwise(x.plugin))
    after = sum(
        d for d, new in zip(made, patch.layers, strict=True) if _is_pointwise(new.plugin)
    )
    return not later and after < before


def _is_pointwise(plugin: LayerPlugin) -> bool:
    return plugin.pointwise() is not None


def _depths(network: Network) -> dict[int, int]:
    """Layers on the longest way from the inputs to each tensor, by identity."""
    depths: dict[int, int] = {}
    for layer in network.layers:
        read = (depths.get(id(tensor), 0) for tensor in layer.present_inputs)
        depth = 1 + max(read, default=0)
        depths.update((id(tensor), depth) for tensor in layer.outputs)
    return depths
