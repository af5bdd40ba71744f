"""Packed weights of an engine: made once, shared by its contexts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence

import numpy as np

from ...plugins import Array, DataType, TensorDesc, TensorView, WeightStore
from ..devices.cpu import SlotTable
from .buffers import aligned_copy
from .packed_cache import PackedCache


def digest(array: Array) -> str:
    """Content hash of an array: type, shape and bytes."""
    state = hashlib.sha256()
    state.update(f"{array.dtype.name}{array.shape}".encode())
    state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


RELEASE_BYTES = 4 << 20
"""Packed bytes after which the memory of what they were made from is given back."""


class PackedWeights:
    """The content-addressed buffers of one engine. Thread-safe.

    `release` gives the memory of the constants back, which the system reads again from the
    plan where somebody needs them: each weight is then in memory in one form only. `cache` has
    what an earlier process packed for the same plan.
    """

    def __init__(
        self, release: Callable[[], None] = lambda: None, cache: PackedCache | None = None
    ) -> None:
        self._cache = cache
        self.is_unsaved = False
        """Whether something was packed that is not in the cache."""
        self._lock = threading.RLock()
        self._arrays: dict[tuple[object, ...], Array] = {}
        self._release = release
        self._unreleased = 0

    def get(self, key: Sequence[object], make: Callable[[], Array]) -> Array:
        """The buffer for `key`, made by `make` at the first request."""
        with self._lock:
            found = self._arrays.get(tuple(key))
            if found is None and self._cache is not None:
                found = self._cache.find(key)
                if found is not None:
                    self._arrays[tuple(key)] = found
            if found is None:
                found = self._arrays[tuple(key)] = aligned_copy(make())
                self.is_unsaved = self._cache is not None
                self._unreleased += found.nbytes
                if self._unreleased >= RELEASE_BYTES:
                    self.release_constants()
            return found

    def release_constants(self) -> None:
        """Give back the memory of constants, after something was packed."""
        with self._lock:
            if self._unreleased:
                self._release()
                self._unreleased = 0

    def save(self) -> None:
        """Begin to write what was packed, for later loads."""
        with self._lock:
            if self.is_unsaved and self._cache is not None:
                self._cache.store(self._arrays)
            self.is_unsaved = False

    @property
    def arrays(self) -> list[Array]:
        """All packed forms."""
        with self._lock:
            return list(self._arrays.values())

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
