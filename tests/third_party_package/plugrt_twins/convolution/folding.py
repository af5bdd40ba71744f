"""Folding what scales and shifts the channels behind a convolution into weights and bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from plugrt.plugins import Array, DataType, Expression, LayerNode, Patch, TensorNode
from plugrt.plugins.expression import affine, evaluate, inputs_of

if TYPE_CHECKING:
    from .layer import Convolution


def fold(layer: Convolution, view: LayerNode) -> Patch | None:
    """A patch that folds the only reader, where it computes factor * x + shift per channel with
    constants: batch normalization, scale, bias, whoever wrote them."""
    source, weights, bias = (*view.inputs, None)[:3]
    output = view.outputs[0]
    reader = output.only_consumer
    if source is None or reader is None or len(reader.outputs) != 1:
        return None
    filters = _constant(weights)
    offset = _constant(bias)
    if weights is None or filters is None or (bias is not None and offset is None):
        return None
    if weights.desc.dtype is not DataType.FLOAT32 or _is_scaled(weights) or _is_scaled(output):
        return None
    parts = _factor_and_shift(reader, output, len(filters))
    if parts is None:
        return None
    factor, shift = parts
    scaled = filters.astype(np.float64) * factor.reshape(-1, *(1,) * (filters.ndim - 1))
    if offset is not None:
        shift = shift + factor * offset.astype(np.float64)
    if not (np.all(np.isfinite(scaled)) and np.all(np.isfinite(shift))):
        return None
    patch = Patch()
    constants = [
        patch.add_constant(f"{view.name}.weights", scaled.astype(np.float32)),
        patch.add_constant(f"{view.name}.bias", shift.astype(np.float32)),
    ]
    (result,) = patch.add_layer(layer.clone(), [source, *constants], view.name)
    patch.replace(reader.outputs[0], result)
    return patch


def _constant(node: TensorNode | None) -> Array | None:
    return node.desc.value if node is not None and node.desc.is_constant else None


def _is_scaled(node: TensorNode) -> bool:
    """Whether the user gave it a scale, hence wants to see it."""
    return node.desc.quantization is not None


def _factor_and_shift(
    reader: LayerNode, carried: TensorNode, channels: int
) -> tuple[Array, Array] | None:
    expression = reader.plugin.pointwise()
    result, source = reader.outputs[0].desc, carried.desc
    if expression is None or (result.shape, result.dtype) != (source.shape, source.dtype):
        return None
    places = [k for k, node in enumerate(reader.inputs) if node is carried]
    parts = affine(expression, places[0]) if len(places) == 1 else None
    if parts is None:
        return None
    factor, shift = (_per_channel(p, reader.inputs, channels, source.rank) for p in parts)
    return None if factor is None or shift is None else (factor, shift)


def _per_channel(
    part: Expression, inputs: Sequence[TensorNode | None], channels: int, rank: int
) -> Array | None:
    """The value of constants for each channel, float64; None where it varies beside them."""
    values: list[Array] = [np.zeros(()) for _ in inputs]
    for leaf in inputs_of(part):
        value = _constant(inputs[leaf.index])
        if value is None:
            return None
        values[leaf.index] = value.astype(np.float64)
    result = np.asarray(evaluate(part, values, rank), np.float64)
    if result.ndim > rank:
        return None
    shape = (1,) * (rank - result.ndim) + result.shape
    if shape[1] not in (1, channels) or result.size != shape[1]:
        return None
    return np.broadcast_to(result.reshape(-1), (channels,)).copy()
