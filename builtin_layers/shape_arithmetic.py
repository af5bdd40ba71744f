"""Shapes as data: small integer tensors whose contents are known, or known as symbolic dims.

A model that computes a shape (Shape, Gather, Multiply, Concatenation, then Reshape) is followed
at definition through `getOutputValue`. Contents are object arrays of dims; an array of plain
numbers takes the tensor's own type, and so counts as a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..plugins import Array, DataType, Dim, DimLike, TensorDesc

LIMIT = 64
"""Elements beyond which a tensor is data rather than a shape."""


def known_dims(desc: TensorDesc | None) -> Array | None:
    """The contents of a small integer tensor as an object array of dims, else None."""
    if desc is None or desc.value is None or not desc.dtype.is_integer:
        return None
    value = np.asarray(desc.value)
    if value.size > LIMIT:
        return None
    return _objects(value.shape, [_dim(item) for item in value.reshape(-1)])


def from_dims(dims: Array, dtype: DataType) -> Array:
    """An object array of dims as a tensor's contents: numbers where no dim is symbolic."""
    items = list(dims.reshape(-1))
    if any(isinstance(item, Dim) for item in items):
        return dims
    return np.array(items, dtype.numpy).reshape(dims.shape)


def combine(
    function: Callable[[DimLike, DimLike], DimLike], left: TensorDesc, right: TensorDesc
) -> Array | None:
    """`function` element by element, with broadcasting, where both contents are known."""
    first, second = known_dims(left), known_dims(right)
    if first is None or second is None:
        return None
    pairs = np.broadcast(first, second)
    dims = [function(a, b) for a, b in pairs]
    return from_dims(_objects(pairs.shape, dims), left.dtype)


def _objects(shape: tuple[int, ...], items: list[DimLike]) -> Array:
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def _dim(item: Any) -> DimLike:
    return item if isinstance(item, Dim) else int(item)
