"""Applying the patches that layers and passes propose."""

from __future__ import annotations

from ...plugins import (
    AnyTensor,
    NewTensor,
    Patch,
    PluginError,
    TensorDesc,
)
from ...plugins.dims import symbols
from ..graph import Layer, Network, Tensor
from ..graph.inference import infer_outputs
from .patch_cost import eases_fusion, layer_cost
from .patch_tensors import PatchTensors, constant_type


def remove_dead_layers(network: Network) -> int:
    """Remove layers whose outputs nobody reads; returns how many."""
    removed = 0
    sizes = {id(tensor): name for name, tensor in network.size_tensors.items()}
    outputs = {id(tensor) for tensor in network.outputs}
    read = set(symbols([dim for tensor in network.outputs for dim in tensor.shape]))
    for layer in reversed(list(network.layers)):
        mine = [tensor for tensor in layer.outputs if tensor.uses or id(tensor) in outputs]
        if mine or any(sizes.get(id(tensor)) in read for tensor in layer.outputs):
            for tensor in (*mine, *layer.present_inputs) if sizes else ():
                read.update(symbols(tensor.shape))
        else:
            network.remove_layer(layer)
            removed += 1
    keep = outputs | {id(tensor) for tensor in network.inputs}
    for tensor in list(network.tensors.values()):
        if tensor.producer is None and not tensor.uses and id(tensor) not in keep:
            del network.tensors[tensor.name]
    return removed


def apply_patch(network: Network, patch: Patch) -> list[Layer] | None:
    """Apply a patch that fits and lowers the graph's cost, or lets more fuse at the same cost;
    returns the layers that went, None where it was not applied.

    Raises PluginError when the patch does not fit (a bug of the layer that proposed it).
    """
    descs, added = _outputs_and_cost(patch)
    gone = layers_replaced(network, patch)
    removed = sum(
        layer_cost([t.desc for t in layer.present_inputs], [t.desc for t in layer.outputs])
        for layer in gone
    )
    if added > removed or (added == removed and not eases_fusion(network, patch, gone)):
        return None
    _commit(network, patch, descs)
    return gone


def commit_patch(network: Network, patch: Patch) -> None:
    """Apply a patch whatever it costs. Raises PluginError when it does not fit."""
    descs, _ = _outputs_and_cost(patch)
    _commit(network, patch, descs)


def _outputs_and_cost(patch: Patch) -> tuple[list[list[TensorDesc]], int]:
    """What the new layers write, and the cost of running them."""
    descs: list[list[TensorDesc]] = []

    def desc_of(tensor: AnyTensor | None) -> TensorDesc | None:
        if tensor is None or isinstance(tensor, Tensor):
            return None if tensor is None else tensor.desc
        if not isinstance(tensor, NewTensor):
            raise PluginError(f"a patch refers to {tensor!r}, which is no tensor of this graph")
        if tensor.layer >= 0:
            return descs[tensor.layer][tensor.index]
        constant = Tensor("", *constant_type(tensor))
        constant.quantization = tensor.quantization
        return constant.desc

    added = 0
    for new in patch.layers:
        inputs = [desc_of(tensor) for tensor in new.inputs]
        outputs = infer_outputs(new.name, new.plugin, inputs)
        descs.append(outputs)
        added += layer_cost([d for d in inputs if d is not None], outputs)
    for old, replacement in patch.replacements:
        mine, theirs = old.desc, desc_of(replacement)
        if theirs is None or (mine.shape, mine.dtype) != (theirs.shape, theirs.dtype):
            raise PluginError(f"a patch replaces {old.name!r} ({mine}) by {theirs}")
    return descs, added


def layers_replaced(network: Network, patch: Patch) -> list[Layer]:
    """The layers that nobody reads once the patch is applied, in execution order."""
    replaced = {id(old) for old, _ in patch.replacements}
    read_again = {
        id(tensor) for new in patch.layers for tensor in new.inputs if isinstance(tensor, Tensor)
    } | {id(new) for _, new in patch.replacements if isinstance(new, Tensor)}
    sizes = {id(t) for t in network.size_tensors.values()}
    dead: dict[int, Layer] = {}
    for layer in reversed(network.layers):
        unread = all(
            id(t) not in read_again
            and id(t) not in sizes
            and (
                id(t) in replaced
                or (not t.is_output and all(id(use) in dead for use in t.uses))
            )
            for t in layer.outputs
        )
        if unread:
            dead[id(layer)] = layer
    return list(reversed(dead.values()))


def _commit(network: Network, patch: Patch, descs: list[list[TensorDesc]]) -> None:
    tensors = PatchTensors(network)
    made = tensors.made
    for new, outputs in zip(patch.layers, descs, strict=True):
        inputs = [tensors.resolve(tensor) for tensor in new.inputs]
        plugin = network.registry.admit(new.plugin)  # denials and substitutes count here too
        made.append(network.insert_layer(len(network.layers), plugin, inputs, new.name, outputs))
    names: list[tuple[Tensor, str]] = []
    for old, replacement in patch.replacements:
        tensor = tensors.resolve(replacement)
        if isinstance(old, Tensor) and tensor is not None:
            network.replace_tensor(old, tensor, spare=made)
            if tensor.quantization is None:
                tensor.quantization = old.quantization
            if any(tensor is output for layer in made for output in layer.outputs):
                names.append((tensor, old.name))
    remove_dead_layers(network)
    for layer, new in zip(made, patch.layers, strict=True):
        network.rename_layer(layer, new.name)
    for tensor, name in names:  # the model's tensor names survive
        if name not in network.tensors and tensor.name in network.tensors:
            network.rename_tensor(tensor, name)
    network.sort_layers()


