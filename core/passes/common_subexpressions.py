"""Layers that compute the same from the same become one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable

import numpy as np

from ..explanation import Note
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer
from .copying import graph_attributes


def merge_equal_layers(network: Network, report: Callable[[str], None]) -> bool:
    """Let the readers of every layer that repeats an earlier one read that one; in place.

    Equal are layers of one class and state with equal inputs, constants by their contents.
    Layers with bodies, and those whose output sizes depend on data, are left alone.
    """
    sized = {id(tensor) for tensor in network.size_tensors.values()}
    alike: dict[Hashable, list[Layer]] = {}
    changed = False
    for layer in list(network.layers):
        if graph_attributes(layer.plugin) or any(id(t) in sized for t in layer.outputs):
            continue
        earlier = alike.setdefault(_signature(layer), [])
        twin = next((other for other in earlier if _reads_the_same(layer, other)), None)
        if twin is None:
            earlier.append(layer)
            continue
        for mine, kept in zip(list(layer.outputs), twin.outputs, strict=True):
            network.replace_tensor(mine, kept)
        network.remove_layer(layer)
        text = f"computes the same as {twin.name}"
        report(Note(layer.name, "merged", text, layer=twin.name))
        changed = True
    return changed


def _signature(layer: Layer) -> Hashable:
    """What is quickly compared: everything but the contents of constants."""
    with naming_layer(layer.name, layer.plugin, "serialize()"):
        state = layer.plugin.serialize()
    inputs = tuple(None if t is None or t.is_constant else id(t) for t in layer.inputs)
    outputs = tuple((t.dtype, t.quantization) for t in layer.outputs)
    return (type(layer.plugin), state, inputs, outputs, layer.epilogue)


def _reads_the_same(layer: Layer, other: Layer) -> bool:
    return all(
        mine is theirs
        or (mine is not None and theirs is not None and _equal_constants(mine, theirs))
        for mine, theirs in zip(layer.inputs, other.inputs, strict=True)
    )


def _equal_constants(mine: Tensor, theirs: Tensor) -> bool:
    if not (mine.is_constant and theirs.is_constant):
        return False
    described = [(t.dtype, t.shape, t.quantization) for t in (mine, theirs)]
    return described[0] == described[1] and _bytes_of(mine) == _bytes_of(theirs)


def _bytes_of(tensor: Tensor) -> bytes:
    """A digest, so that NaN equals NaN and -0 is not 0."""
    return hashlib.sha256(np.ascontiguousarray(tensor.value).tobytes()).digest()
