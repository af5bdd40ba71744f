"""Small integer tensors whose contents are sizes, perhaps symbolic: how shapes are computed."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array, DataType, Dim, TensorDesc

LARGEST = 64
"""Elements; what is larger is no shape."""


def known_dims(desc: TensorDesc) -> Array | None:
    """The contents as an object array of ints and dims, where they are known sizes."""
    if desc.value is None or not desc.dtype.is_integer or desc.value.size > LARGEST:
        return None
    items = [item if isinstance(item, Dim) else int(item) for item in desc.value.reshape(-1)]
    dims = np.empty(len(items), object)
    dims[:] = items
    return dims.reshape(desc.value.shape)


def from_dims(dims: Array, dtype: DataType) -> Array:
    """Contents for `getOutputValue`: plain numbers where no dim is symbolic."""
    if any(isinstance(item, Dim) for item in dims.reshape(-1)):
        return dims
    return dims.astype(dtype.numpy)
