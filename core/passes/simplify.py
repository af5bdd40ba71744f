"""The portable graph: constants folded, equal layers merged, layers' own rewrites applied, dead
layers removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...plugins import (
    Array,
    DataType,
    PassPlugin,
    Patch,
    PluginError,
    PlugrtError,
    format_shape,
)
from ...plugins.dims import is_static
from ..explanation import Note
from ..graph import Layer, Network, Tensor
from .change_notes import rewrite_notes
from .common_subexpressions import merge_equal_constants, merge_equal_layers
from .copying import graph_attributes
from .patching import apply_patch, remove_dead_layers

Report = Callable[[str], None]


def simplify(network: Network, report: Report = lambda line: None) -> None:
    """Rewrite `network` in place until nothing more applies.

    Raises PluginError naming the layer or pass whose patch or reference breaks the contract.
    """
    for layer in network.layers:
        for body in graph_attributes(layer.plugin).values():
            simplify(body, report)
    passes = network.registry.passes("simplify")
    remove_dead_layers(network)
    refused: set[Layer] = set()
    while (
        _fold_constants(network, refused, report)
        or merge_equal_layers(network, report)
        or _rewrite_once(network, passes, report)
    ):
        pass
    merge_equal_constants(network, report)


def _rewrite_once(network: Network, passes: list[type[PassPlugin]], report: Report) -> bool:
    changed = False
    for layer in list(network.layers):
        if layer not in network.layers:
            continue
        with _blaming(f"rewrite() of layer {layer.name!r} ({layer.plugin.type})"):
            patch = layer.plugin.rewrite(layer)
            gone = None if patch is None else apply_patch(network, patch)
        if patch is not None and gone is not None:
            for note in rewrite_notes(layer, gone, patch):
                report(note)
            changed = True
    for graph_pass in passes:
        with _blaming(f"pass {graph_pass.name!r}"):
            for patch in list(graph_pass().run(list(network.layers))):
                if _is_current(network, patch) and apply_patch(network, patch) is not None:
                    report(Note(f"pass {graph_pass.name}", "rewritten", "graph rewritten"))
                    changed = True
    return changed


@contextmanager
def _blaming(author: str) -> Iterator[None]:
    """Say whose patch it was that failed."""
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, PlugrtError) else f"{type(error).__name__}: {error}"
        raise PluginError(f"{author}: {text}") from error


def _is_current(network: Network, patch: Patch) -> bool:
    """Whether earlier patches have left all tensors that this one is about."""
    read = [tensor for new in patch.layers for tensor in new.inputs]
    replaced = [tensor for pair in patch.replacements for tensor in pair]
    return all(
        network.tensors.get(tensor.name) is tensor
        for tensor in (*read, *replaced)
        if isinstance(tensor, Tensor)
    )


def _fold_constants(network: Network, refused: set[Layer], report: Report) -> bool:
    """Compute what does not depend on inputs; layers that cannot are added to `refused`."""
    changed = False
    for layer in list(network.layers):
        values = None if layer in refused else _constant_outputs(layer, refused, report)
        if values is None:
            continue
        for tensor, value in zip(list(layer.outputs), values, strict=True):
            fresh = network.add_constant(network.unique_name(f"{tensor.name}.folded"), value)
            fresh.quantization = tensor.quantization
            network.replace_tensor(tensor, fresh)
        report(Note(layer.name, "folded", "computed at build time"))
        changed = True
    if changed:
        remove_dead_layers(network)
    return changed


def _constant_outputs(
    layer: Layer, refused: set[Layer], report: Report
) -> list[Array] | None:
    """The outputs' values when they do not depend on the network's inputs."""
    outputs = layer.outputs
    if not any(t.uses or t.is_output for t in outputs) or not all(
        is_static(t.shape) for t in outputs
    ):
        return None
    if all(t.is_constant for t in outputs):
        return [t.value for t in outputs if t.value is not None]
    inputs = layer.inputs
    if not inputs or not all(t is None or t.is_constant for t in inputs):
        return None
    if layer.plugin.role is not None and outputs[0].dtype is not DataType.FLOAT32:
        return None
    try:
        values = layer.plugin.reference([None if t is None else t.value for t in inputs])
    except Exception as error:  # the layer may have none, and can still run at every inference
        refused.add(layer)
        report(Note(layer.name, "not folded", f"not computed at build time: {error}"))
        return None
    if len(values) != len(outputs):
        raise PluginError(
            f"layer {layer.name!r} ({layer.plugin.type}): reference() gives {len(values)} arrays "
            f"for {len(outputs)} outputs"
        )
    return [_fitting(layer, *pair) for pair in zip(outputs, values, strict=True)]


def _fitting(layer: Layer, tensor: Tensor, value: Any) -> Array:
    array = np.asarray(value, dtype=tensor.dtype.numpy)
    if array.shape != tensor.shape:
        raise PluginError(
            f"layer {layer.name!r} ({layer.plugin.type}): reference() gives shape "
            f"{format_shape(array.shape)} for an output of {format_shape(tensor.shape)}"
        )
    return array


__all__ = ["simplify"]
