"""Control flow beside another device: what cannot run there runs on the host as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from ...plugins import LayerPlugin
from ..devices.target import Target
from ..graph import Layer, Network
from .copying import graph_attributes


def bodies_of(layer: Layer) -> list[Network]:
    """The bodies that a layer carries."""
    return list(graph_attributes(layer.plugin).values())


def runs_on_host(layer: Layer, target: Target) -> bool:
    """Whether a layer with bodies has one, however deep inside, without kernels for the device:
    what a device decides by itself, it cannot leave half-way."""
    return next(without_kernels(layer, target), None) is not None


def without_kernels(layer: Layer, target: Target) -> Iterator[LayerPlugin]:
    """What is inside a layer's bodies and has no kernels for the device."""
    if target.is_host:
        return
    for body in bodies_of(layer):
        for inner in body.layers:
            if not target.has_kernels_for(inner.plugin):
                yield inner.plugin
            yield from without_kernels(inner, target)
