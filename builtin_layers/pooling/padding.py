"""Zeros, or whatever never wins, that a Pad puts round the image before a pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...plugins import LayerNode, Patch, ShapeError, TensorNode
from ..lower_bound import least_value
from ..pad import Pad

if TYPE_CHECKING:
    from .layers import WindowedPooling


LEAST = float(np.finfo(np.float32).min)
"""A border of this or less is meant to lose against everything."""


def absorb_padding(layer: WindowedPooling, view: LayerNode) -> Patch | None:
    """The pooling with a Pad before it as its own padding, where that gives the same values.

    A maximum ignores its padding: so it must with the Pad's value, as after a ReLU with 0. A mean
    has to count it.
    """
    source = view.inputs[0]
    before = None if source is None else source.producer
    if source is None or before is None or not isinstance(before.plugin, Pad):
        return None
    image = before.inputs[0]
    begins, ends = before.plugin.borders(source.desc.shape)
    image_only = not any((*begins[:2], *ends[:2])) and min(*begins, *ends) >= 0
    if image is None or not image_only or source.desc.quantization is not None:
        return None
    added = (*begins[2:], *ends[2:])
    own = layer.padding or (0,) * len(added)
    changes: dict[str, object] = {"padding": tuple(a + b for a, b in zip(own, added, strict=True))}
    if layer.average:
        if before.plugin.value != 0 or (any(own) and not layer.count_include_padding):
            return None
        changes["count_include_padding"] = True
    elif not _never_wins(before.plugin.value, image):
        return None
    padded = layer.clone(**changes)
    try:
        if padded.getOutputDimensions(0, [image.desc]) != view.outputs[0].desc.shape:
            return None  # rounded up, other windows would leave the image
    except ShapeError:  # windows that see nothing but padding
        return None
    patch = Patch()
    (result,) = patch.add_layer(padded, [image], view.name)
    patch.replace(view.outputs[0], result)
    return patch


def _never_wins(value: float, image: TensorNode) -> bool:
    """Whether a maximum over the image and `value` is one over the image."""
    if not image.desc.dtype.is_float:
        return False
    return value <= LEAST or value <= least_value(image)
