"""Packed weights of an engine: made once, shared by its contexts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence

import numpy as np

from ...plugins import Array, DataType, TensorDesc, TensorView, WeightStore
from ..devices.cpu import SlotTable
from .buffers import aligned_copy


def digest(array: Array) -> str:
    """Content hash of an array: type, shape and bytes."""
    state = hashlib.sha256()
    state.update(f"{array.dtype.name}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


class PackedWeights:
    """The content-addressed buffers of one engine. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._arrays: dict[tuple[object, ...], Array] = {}

    def get(self, key: Sequence[object], make: Callable[[], Array]) -> Array:
        """The buffer for `key`, made by `make` at the first request."""
        with self._lock:
            found = self._arrays.get(tuple(key))
            if found is None:
                found = self._arrays[tuple(key)] = aligned_copy(make())
            return found

    @property
    def nbytes(self) -> int:
        """Bytes of all packed forms."""
        with self._lock:
            return sum(array.nbytes for array in self._arrays.values())


class RecordingStore(WeightStore):
    """Packed weights, seen through the slots of one recording."""

    def __init__(self, packed: PackedWeights, slots: SlotTable) -> None:
        self._packed = packed
        self._slots = slots

    def pack(self, key: Sequence[object], make: Callable[[], Array]) -> TensorView:
        array = self._packed.get(key, make)
        desc = TensorDesc(DataType.of(array.dtype), array.shape)
        return TensorView(desc, self._slots.bind(array))
