"""Python functions between the graphs of a recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....plugins import Array, TensorView
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.driver_calls import call
from .events import DeviceStream
from .memory import pinned_array

Function = Callable[[list[Array], list[Array]], None]


class HostStep:
    """One recorded Python call: inputs come to pinned memory, outputs go back from there."""

    def __init__(
        self, context: Context, layer: int, function: Function,
        inputs: Sequence[tuple[TensorView, int]], outputs: Sequence[tuple[TensorView, int]],
    ) -> None:  # fmt: skip
        self.layer = layer
        self._context = context
        self._function = function
        self._inputs = [_Staged(context, view, address) for view, address in inputs]
        self._outputs = [_Staged(context, view, address) for view, address in outputs]

    def run(self, stream: DeviceStream) -> None:
        """Wait for the stream, call, and put the copies back on the stream. The context must be
        current. Raises whatever the function raises."""
        # Outputs too: what lies between the elements of a slice must come back unchanged.
        for staged in (*self._inputs, *(s for s in self._outputs if not s.is_dense)):
            staged.fetch(stream)
        stream.synchronize()
        self._function(
            [staged.array for staged in self._inputs], [staged.array for staged in self._outputs]
        )
        for staged in self._outputs:
            staged.send(stream)


class _Staged:
    """A tensor's bytes on the GPU, and a pinned copy with an array over it."""

    def __init__(self, context: Context, view: TensorView, address: int) -> None:
        desc = view.desc
        self.is_dense = desc.is_dense
        self._address = address
        self._nbytes = 0 if desc.is_constant else desc.nbytes
        if desc.value is not None and desc.is_constant:
            self.array: Array = desc.value
            return
        self._memory = pinned_array(context, desc.nbytes)
        item = desc.dtype.itemsize
        self.array = np.ndarray(
            desc.sizes, desc.dtype.numpy, self._memory.data if desc.nbytes else None, 0,
            [step * item for step in desc.element_strides] if desc.nbytes else None,
        )  # fmt: skip

    def fetch(self, stream: DeviceStream) -> None:
        if self._nbytes:
            call("cuMemcpyDtoHAsync", self._memory.ctypes.data, self._address, self._nbytes,
                 stream.cuda)  # fmt: skip

    def send(self, stream: DeviceStream) -> None:
        if self._nbytes:
            call("cuMemcpyHtoDAsync", self._address, self._memory.ctypes.data, self._nbytes,
                 stream.cuda)  # fmt: skip
