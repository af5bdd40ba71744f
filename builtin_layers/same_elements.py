"""Layers that keep all elements in their order: of several in a row the last shape counts."""

from __future__ import annotations

from collections.abc import Callable

from ..plugins import LayerNode, LayerPlugin, Patch, Shape
from ..plugins.dims import symbols
from .data_movement import DataMovement


def merged(view: LayerNode, make: Callable[[tuple[int, ...]], LayerPlugin]) -> Patch | None:
    """What gives a tensor another shape, as nothing where the shape is the same, and together
    with what did so before. `make` makes a layer for a target shape, in which 0 keeps a size and
    -1 takes what is left."""
    source, output = view.inputs[0], view.outputs[0]
    if source is None or not _keeps_order(view):
        return None
    before = source.producer
    merges = before is not None and _keeps_order(before) and before.inputs[0] is not None
    if before is not None and before.inputs[0] is not None and merges:
        source = before.inputs[0]
    unchanged = source.desc.shape == output.desc.shape and not output.is_output
    if source.desc.quantization != output.desc.quantization:
        return None
    patch = Patch()
    if unchanged:
        patch.replace(output, source)
        return patch
    target = target_shape(source.desc.shape, output.desc.shape)
    if not merges or target is None:
        return None
    (result,) = patch.add_layer(make(target), [source], view.name)
    patch.replace(output, result)
    return patch


def target_shape(source: Shape, result: Shape) -> tuple[int, ...] | None:
    """`result` as an attribute of a reshape of `source`; None where numbers cannot say it."""
    target: list[int] = []
    for axis, size in enumerate(result):
        if isinstance(size, int) and size > 0:
            target.append(size)
        elif axis < len(source) and source[axis] == size:
            target.append(0)
        else:
            target.append(-1)
    waiting = any(found.bound is not None for found in symbols((*source, *result)).values())
    return None if target.count(-1) > 1 or waiting else tuple(target)


def _keeps_order(view: LayerNode) -> bool:
    source = view.inputs[0] if view.inputs else None
    if source is None or not isinstance(view.plugin, DataMovement):
        return False
    return view.plugin.keeps_order(source.desc.shape)
