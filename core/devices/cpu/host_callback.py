"""Python functions as commands: how a layer without kernels takes part in a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....plugins import Array, TensorView
from .extension import ffi, lib

Function = Callable[[list[Array], list[Array]], None]


class HostCallback:
    """One recorded Python call. Arrays are made anew only when a buffer has moved."""

    def __init__(
        self, function: Function, inputs: Sequence[TensorView], outputs: Sequence[TensorView]
    ) -> None:
        self.function = function
        self._inputs = [_Binding(view) for view in inputs]
        self._outputs = [_Binding(view) for view in outputs]
        self.errors: list[BaseException] = []

    def run(self, slots: Any) -> None:
        """Call the function on arrays over the call's buffers."""
        self.function(
            [binding.array(slots) for binding in self._inputs],
            [binding.array(slots) for binding in self._outputs],
        )


class _Binding:
    def __init__(self, view: TensorView) -> None:
        self._view = view
        self._address = 0
        self._array: Array | None = view.desc.value if view.desc.is_constant else None

    def array(self, slots: Any) -> Array:
        address = int(ffi.cast("uintptr_t", slots[self._view.slot])) + self._view.offset
        if self._array is None or (address != self._address and not self._view.desc.is_constant):
            self._array = array_at(address, self._view)
            self._address = address
        return self._array


def array_at(address: int, view: TensorView) -> Array:
    """A NumPy array over the memory of a LINEAR tensor. The caller keeps the memory alive."""
    desc = view.desc
    item = desc.dtype.itemsize
    memory = ffi.buffer(ffi.cast("char *", address), max(desc.nbytes, 1))
    if not desc.nbytes:
        return np.empty(desc.sizes, desc.dtype.numpy)
    strides = [step * item for step in desc.element_strides]
    return np.ndarray(desc.sizes, desc.dtype.numpy, memory, 0, strides)


if lib is not None:

    @ffi.def_extern(error=1)  # type: ignore[untyped-decorator]
    def plugrt_call_python(handle: Any, call: Any) -> int:
        callback: HostCallback = ffi.from_handle(handle)
        try:
            callback.run(call.slots)
        except BaseException as error:  # it must cross C code; the replay raises it again
            callback.errors.append(error)
            return 1
        return 0
