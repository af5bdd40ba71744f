"""Constants and packed weights of an engine on one GPU, shared by its contexts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....plugins import Array
from ....plugins.native.cuda import Context
from ....plugins.native.cuda.lent_code import Loan
from ...runtime.weight_store import PackedWeights
from .compiled_code import CompiledCode
from .memory import DeviceBuffer


@dataclass(frozen=True)
class PackedWeight:
    """A packed form and where it lies."""

    buffer: DeviceBuffer
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class DeviceWeights:
    """The content-addressed buffers of one engine on one GPU. Thread-safe."""

    def __init__(self, context: Context, host_threads: int = 1) -> None:
        self.context = context
        self.host = PackedWeights()
        """Weights of layers that run on the host."""
        self.host_threads = host_threads
        """Their team size."""
        self.code = CompiledCode()
        """What was compiled for layers that were recorded."""
        self.loan = Loan()
        """Code that the engine has brought along, and is to be found while it records."""
        self._lock = threading.RLock()
        self._packed: dict[tuple[object, ...], PackedWeight] = {}
        self._constants: dict[int, tuple[Array, DeviceBuffer]] = {}

    def constant(self, array: Array) -> DeviceBuffer:
        """The copy of a host array, made at the first request."""
        with self._lock:
            found = self._constants.get(id(array))
            if found is None:
                found = (array, DeviceBuffer.of(self.context, array, "a constant"))
                self._constants[id(array)] = found
            return found[1]

    def packed(self, key: Sequence[object], make: Callable[[], Array]) -> PackedWeight:
        """The form for `key`, made on the host by `make` at the first request."""
        with self._lock:
            found = self._packed.get(tuple(key))
            if found is None:
                array = np.ascontiguousarray(made := make()).reshape(made.shape)
                buffer = DeviceBuffer.of(self.context, array, "packed weights")
                found = self._packed[tuple(key)] = PackedWeight(buffer, array.dtype, array.shape)
            return found

    def clear(self) -> None:
        """Forget everything; memory goes with the recordings that use it."""
        with self._lock:
            self._packed.clear()
            self._constants.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all constants and packed forms on the GPU."""
        with self._lock:
            buffers = [packed.buffer for packed in self._packed.values()]
            buffers += [buffer for _, buffer in self._constants.values()]
            return sum(buffer.nbytes for buffer in buffers)
