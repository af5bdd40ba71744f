"""Layers that compute the same from the same become one, and so do equal constants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable

import numpy as np

from ..explanation import Note
from ..graph import Layer, Network, Tensor
from ..graph.naming import naming_layer
from .copying import graph_attributes

SAMPLE = 1 << 12
"""Bytes by which constants are told apart first."""

WORTH_TELLING = 1 << 10
"""Bytes; repeated scalars are nobody's concern."""


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


def merge_equal_constants(network: Network, report: Callable[[str], None]) -> None:
    """Let the readers of every constant that repeats an earlier one read that one; in place."""
    alike: dict[Hashable, list[Tensor]] = {}
    for tensor in network.tensors.values():
        if tensor.is_constant and tensor.uses:
            first = _bytes_of(tensor, SAMPLE)  # most differ here, without reading them whole
            alike.setdefault(
                (tensor.dtype, tensor.shape, tensor.quantization, tensor.format, first), []
            ).append(tensor)
    count = saved = 0
    for group in alike.values():
        kept: dict[bytes, Tensor] = {}
        for tensor in group if len(group) > 1 else ():
            twin = kept.setdefault(_bytes_of(tensor), tensor)
            if twin is not tensor and not tensor.is_output:
                network.replace_tensor(tensor, twin)
                del network.tensors[tensor.name]
                count += 1
                saved += 0 if tensor.value is None else tensor.value.nbytes
    if saved >= WORTH_TELLING:
        text = f"{count} equal ones are kept once, which saves {saved / 1024:.0f} KiB"
        report(Note("constants", "merged", text, count=count, bytes=saved))


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


def _bytes_of(tensor: Tensor, limit: int | None = None) -> bytes:
    """A digest of the contents, of the first `limit` bytes at most, so that NaN equals NaN and
    -0 is not 0."""
    stored = np.ascontiguousarray(tensor.value).reshape(-1).view(np.uint8)
    return hashlib.sha256(stored[:limit].data).digest()
