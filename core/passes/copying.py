"""An independent copy of a network, so that a build never changes the user's."""

from __future__ import annotations

from ...plugins import Graph, LayerPlugin
from ..graph import Network, Tensor
from ..graph.naming import naming_layer


def copy_plugin(plugin: LayerPlugin) -> LayerPlugin:
    """A fresh instance with the same state, made the way an engine load makes it.

    Graph attributes are copied as networks.
    """
    fresh: LayerPlugin = type(plugin).deserialize(plugin.serialize(), type(plugin).state_version)
    for name, value in graph_attributes(plugin).items():
        fresh.__dict__[name] = copy_network(value)
    return fresh


def graph_attributes(plugin: LayerPlugin) -> dict[str, Network]:
    """The bodies that a layer carries, by attribute name."""
    return {
        name: value
        for name, value in plugin.attribute_values.items()
        if isinstance(value, Graph) and isinstance(value, Network)
    }


def copy_network(network: Network) -> Network:
    """A deep copy that shares only the arrays of constants."""
    fresh = Network(network.name, network.registry)
    fresh.metadata = dict(network.metadata)
    mapped: dict[int, Tensor] = {}
    for tensor in network.tensors.values():
        if tensor.producer is None:
            twin = fresh._new_tensor(tensor.name, tensor.dtype, tensor.shape, tensor.value)
            mapped[id(tensor)] = twin
            twin.quantization = tensor.quantization
            twin.format = tensor.format
    fresh.inputs = [mapped[id(tensor)] for tensor in network.inputs]
    for layer in network.layers:
        inputs = [None if t is None else mapped[id(t)] for t in layer.inputs]
        descs = [tensor.desc for tensor in layer.outputs]
        with naming_layer(layer.name, layer.plugin, "copying it (serialize, deserialize)"):
            plugin = copy_plugin(layer.plugin)
        twin_layer = fresh.insert_layer(len(fresh.layers), plugin, inputs, layer.name, descs)
        fresh.rename_layer(twin_layer, layer.name)  # a tensor may have had the name first
        twin_layer.epilogue = layer.epilogue
        twin_layer.fused = list(layer.fused)
        for old, new in zip(layer.outputs, twin_layer.outputs, strict=True):
            fresh.rename_tensor(new, old.name)
            mapped[id(old)] = new
    for tensor, name in zip(network.outputs, network.output_names, strict=True):
        fresh.mark_output(mapped[id(tensor)], name)
    fresh.size_tensors = {n: mapped[id(t)] for n, t in network.size_tensors.items()}
    return fresh
