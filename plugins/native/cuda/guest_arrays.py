"""A layer's tensors as other libraries take them: CuPy, PyTorch, Triton, Numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import PluginError
from ...stream import Stream
from ...tensor import TensorView


class GuestArray:
    """Memory that belongs to a recording. It stays where it is for as long as the recording is
    replayed, so kernels may keep its address."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__cuda_array_interface__ = interface


def guest_array(stream: Stream, view: TensorView) -> GuestArray:
    """An array for `cupy.asarray` or `torch.as_tensor`, with the tensor's strides, while a layer
    is recorded. Read and write it on `stream.handle` only.

    Raises PluginError for element types that NumPy has not by itself, such as bfloat16: view the
    memory as integers of their size (`stream.address`), and for streams that are not of a GPU.
    """
    dtype = np.dtype(view.dtype.numpy)
    if dtype.kind not in "biufc":
        raise PluginError(
            f"{view.dtype.value} has no name in __cuda_array_interface__; take the address from "
            "stream.address(view) and the library's own type"
        )
    steps = view.desc.element_strides
    return GuestArray({
        "shape": tuple(view.shape), "typestr": dtype.str, "data": (stream.address(view), False),
        "strides": tuple(step * dtype.itemsize for step in steps), "version": 3, "stream": None,
    })  # fmt: skip
