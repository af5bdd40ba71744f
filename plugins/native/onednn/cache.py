"""A bounded cache of primitives, since contexts and shapes record the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from .primitive import Primitive

CAPACITY = 1024


class PrimitiveCache:
    """Least recently used primitives by their full identity; safe to use from any thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Hashable, Primitive] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Primitive]) -> Primitive:
        """The primitive of `key`, made by `make` when absent. What `make` raises passes."""
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
                return found
        made = make()  # outside the lock: creation may take milliseconds
        with self._lock:
            kept = self._entries.setdefault(key, made)
            self._entries.move_to_end(key)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
            return kept

    def clear(self) -> None:
        """Forget every primitive; those in recordings live on there."""
        with self._lock:
            self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


primitives = PrimitiveCache()
"""The cache of this process."""
