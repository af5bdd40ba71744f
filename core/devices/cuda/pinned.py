"""Page-locked arrays: a GPU copies from and to them directly."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from ....plugins import Array, DataType
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.packages import driver
from .memory import pinned_array

HOST_MEMORY = 1
"""CU_MEMORYTYPE_HOST."""


def pinned_empty(shape: int | Sequence[int], dtype: npt.DTypeLike | DataType = "float32") -> Array:
    """An uninitialised NumPy array in page-locked memory, for inputs and outputs of engines on
    GPUs: it is transferred as it is, without the copy that other arrays take on their way.

    `dtype` is a NumPy type or one of plugrt's. Memory that is locked cannot be paged out, so
    keep such arrays and fill them again. Raises DeviceError with the bytes when so much cannot be
    locked, and where there is no GPU.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = dtype.numpy if isinstance(dtype, DataType) else np.dtype(dtype)
    nbytes = prod(sizes) * kind.itemsize
    return pinned_array(Context.of(0), nbytes)[:nbytes].view(kind).reshape(sizes)


def is_pinned(array: Array) -> bool:
    """Whether the driver knows the memory of an array of the host, whoever locked it."""
    module = driver()
    attribute = module.CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE
    error, kind = module.cuPointerGetAttribute(attribute, array.ctypes.data)
    return not int(error) and int(kind) == HOST_MEMORY
