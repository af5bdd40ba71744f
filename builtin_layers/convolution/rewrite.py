"""Folding what surrounds a convolution: what follows into its weights, zeros before into its
padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...plugins import Array, DataType, LayerNode, Patch, TensorNode
from ...plugins.expression import Expression, affine, evaluate, inputs_of
from ..pad import Pad

if TYPE_CHECKING:
    from .layer import Convolution


def absorb_padding(layer: Convolution, view: LayerNode) -> Patch | None:
    """Zeros that a Pad puts round the image become the convolution's own padding."""
    source = view.inputs[0]
    before = None if source is None else source.producer
    if source is None or before is None or not isinstance(before.plugin, Pad):
        return None
    begins, ends = before.plugin.borders(source.desc.shape)
    image_only = not any((*begins[:2], *ends[:2])) and min(*begins, *ends) >= 0
    if before.plugin.value != 0 or not image_only or source.desc.quantization is not None:
        return None
    added = (*begins[2:], *ends[2:])
    own = layer.padding or (0,) * len(added)
    padding = tuple(a + b for a, b in zip(own, added, strict=True))
    patch = Patch()
    inputs = [before.inputs[0], *view.inputs[1:]]
    (result,) = patch.add_layer(layer.clone(padding=padding), inputs, view.name)
    patch.replace(view.outputs[0], result)
    return patch


def absorb_affine(layer: Convolution, view: LayerNode) -> Patch | None:
    """Batch norm, scale or bias behind a convolution: any pointwise layer that multiplies each
    channel by a constant and adds another becomes part of weights and bias.

    Computed in float64, stored in the type of the weights.
    """
    source, weights, *rest = view.inputs
    bias = rest[0] if rest else None
    output = view.outputs[0]
    follower = output.only_consumer
    if source is None or weights is None or follower is None or len(follower.outputs) != 1:
        return None
    filters = weights.desc.value
    added = None if bias is None else bias.desc.value
    if not weights.desc.is_constant or (bias is not None and not bias.desc.is_constant):
        return None
    if filters is None or weights.desc.dtype is not DataType.FLOAT32:
        return None
    if any(node.desc.quantization is not None for node in (weights, output)):
        return None  # a scale set by hand is a wish to see this tensor
    found = factor_and_shift(follower, output, filters.shape[0])
    if found is None:
        return None
    factor, shift = found
    folded = filters.astype(np.float64) * factor.reshape(-1, *[1] * (filters.ndim - 1))
    moved = shift if added is None else shift + factor * added.astype(np.float64)
    if not (np.isfinite(folded).all() and np.isfinite(moved).all()):
        return None
    patch = Patch()
    new_weights = patch.add_constant(f"{view.name}.weights", folded.astype(np.float32))
    new_bias = patch.add_constant(f"{view.name}.bias", moved.astype(np.float32))
    (result,) = patch.add_layer(layer.clone(), [source, new_weights, new_bias], view.name)
    patch.replace(follower.outputs[0], result)
    return patch


def factor_and_shift(
    follower: LayerNode, carried: TensorNode, channels: int
) -> tuple[Array, Array] | None:
    """(a, b) per channel when the follower computes a * carried + b, else None."""
    expression = follower.plugin.pointwise()
    result = follower.outputs[0].desc
    places = [k for k, node in enumerate(follower.inputs) if node is carried]
    if expression is None or len(places) != 1:
        return None
    if result.shape != carried.desc.shape or result.dtype is not carried.desc.dtype:
        return None
    parts = affine(expression, places[0])
    if parts is None:
        return None
    found = []
    for part in parts:
        value = _per_channel(part, follower.inputs, channels, carried.desc.rank)
        if value is None:
            return None
        found.append(value)
    return found[0], found[1]


def _per_channel(
    part: Expression, inputs: Sequence[TensorNode | None], channels: int, rank: int
) -> Array | None:
    """The value of an expression of constants, one float64 per channel; None if it varies
    otherwise or is not constant."""
    arrays: list[Array] = [np.zeros(())] * len(inputs)
    for leaf in inputs_of(part):
        node = inputs[leaf.index]
        if node is None or not node.desc.is_constant or node.desc.value is None:
            return None
        arrays[leaf.index] = node.desc.value.astype(np.float64)
    value = np.asarray(evaluate(part, arrays, rank), np.float64)
    aligned = (1,) * (rank - value.ndim) + value.shape
    if len(aligned) != rank or value.size != aligned[1] or aligned[1] not in (1, channels):
        return None
    return np.ascontiguousarray(np.broadcast_to(value.reshape(-1), (channels,)))
