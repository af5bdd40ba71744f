"""What scales and shifts each channel before a convolution, folded into its weights and bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...plugins import Array, DataType, LayerNode, Patch
from .rewrite import factor_and_shift

if TYPE_CHECKING:
    from .layer import Convolution


def absorb_affine_before(layer: Convolution, view: LayerNode) -> Patch | None:
    """Batch norm or scale that only this convolution reads becomes part of it.

    A shift only where there is no padding: what the window sees outside of the image is 0, not
    the shift. Computed in float64, stored in float32.
    """
    source, weights, *rest = view.inputs
    before = None if source is None else source.producer
    if source is None or weights is None or before is None or source.only_consumer is not view:
        return None
    bias = rest[0] if rest else None
    filters, added = weights.desc.value, None if bias is None else bias.desc.value
    if filters is None or weights.desc.dtype is not DataType.FLOAT32:
        return None
    if bias is not None and (added is None or not bias.desc.is_constant):
        return None
    if not weights.desc.is_constant or source.desc.quantization or weights.desc.quantization:
        return None
    channels = source.desc.shape[1]
    images = [t for t in before.inputs if t is not None and not t.desc.is_constant]
    if len(images) != 1 or not isinstance(channels, int) or len(before.outputs) != 1:
        return None
    found = factor_and_shift(before, images[0], channels)
    if found is None or (found[1].any() and any(layer.padding)):
        return None
    factor, shift = (_by_filter(values, filters, layer.groups) for values in found)
    folded = filters.astype(np.float64) * factor
    moved = (filters.astype(np.float64) * shift).sum(axis=tuple(range(1, filters.ndim)))
    moved = moved if added is None else moved + added.astype(np.float64)
    if not (np.isfinite(folded).all() and np.isfinite(moved).all()):
        return None
    patch = Patch()
    new_weights = patch.add_constant(f"{view.name}.weights", folded.astype(np.float32))
    new_bias = patch.add_constant(f"{view.name}.bias", moved.astype(np.float32))
    (result,) = patch.add_layer(layer.clone(), [images[0], new_weights, new_bias], view.name)
    patch.replace(view.outputs[0], result)
    return patch


def _by_filter(values: Array, filters: Array, groups: int) -> Array:
    """One value per input channel as [M, C / groups, 1...]: what each filter's channels see."""
    grouped = values.reshape(groups, 1, -1)
    each = np.broadcast_to(grouped, (groups, filters.shape[0] // groups, grouped.shape[2]))
    return each.reshape(*filters.shape[:2], *[1] * (filters.ndim - 2))
