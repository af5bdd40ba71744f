"""A flattening, and a transpose before it, that a fully connected layer can do without: it flattens
anyway, and the order of its inputs is that of its weights' columns."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..plugins import AnyTensor, DataType, LayerNode, LayerPlugin, Patch, TensorNode
from ..plugins.dims import is_static
from .data_movement import DataMovement
from .transpose import order_of
from .transpose_rewrite import inverse

MOST_DIMENSIONS = 5
"""With more, an input has no other format than linear."""


def absorb_order(view: LayerNode, make: Callable[[], LayerPlugin]) -> Patch | None:
    """The layer on what a reshape or a transpose before it reads; weights must be constant."""
    source, weights, *rest = view.inputs
    value = None if weights is None else weights.desc.value
    if source is None or weights is None or value is None or not weights.desc.is_constant:
        return None
    if weights.desc.dtype is not DataType.FLOAT32 or weights.desc.quantization is not None:
        return None
    image = _before_flattening(source)
    order = None if image.producer is None else order_of(image.producer)
    patch = Patch()
    columns: AnyTensor = weights
    if order is not None and order[0] == 0 and is_static(image.desc.shape[1:]):
        inner = image.producer.inputs[0] if image.producer is not None else None
        sizes = tuple(int(size) for size in image.desc.shape[1:])  # type: ignore[arg-type]
        if inner is not None and inner.desc.quantization is None:
            turned = value.reshape(-1, *sizes).transpose(inverse(order))
            kept = np.ascontiguousarray(turned.reshape(len(value), prod(sizes)))
            columns = patch.add_constant(f"{view.name}.weights", kept)
            image = inner
    if image is source:
        return None
    (result,) = patch.add_layer(make(), [image, columns, *rest], view.name)
    patch.replace(view.outputs[0], result)
    return patch


def _before_flattening(source: TensorNode) -> TensorNode:
    """What a layer that only changes the shape reads, where images stay images."""
    before = source.producer
    if before is None or not isinstance(before.plugin, DataMovement):
        return source
    inner = before.inputs[0]
    if inner is None or not before.plugin.keeps_order(inner.desc.shape):
        return source
    same = inner.desc.rank > 1 and inner.desc.shape[0] == source.desc.shape[0]
    static = is_static(inner.desc.shape[1:]) and inner.desc.rank <= MOST_DIMENSIONS
    plain = source.desc.quantization is None and inner.desc.quantization is None
    return inner if same and static and plain else source
