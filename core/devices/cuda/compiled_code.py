"""Machine code that an engine has taken so far, for its plan."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from contextlib import suppress

from ....plugins import DeviceError
from ....plugins.native.cuda.kernel_cache import Storable


class CompiledCode:
    """Kernels and plans of libraries, each once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Hashable, Storable] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was compiled."""
        return not self._known

    def note(self, resources: Iterable[object]) -> None:
        """Remember what of these is compiled."""
        found = {item.identity: item for item in resources if isinstance(item, Storable)}
        with self._lock:
            self._known = {**found, **self._known}

    def entries(self, ordinal: int) -> dict[str, bytes]:
        """Everything by the keys that the cache of kernels has for it, in their order; what cannot
        be stored is left out."""
        with self._lock:
            known = list(self._known.values())
        stored = {}
        for item in known:
            with suppress(DeviceError):
                key, payload = item.stored(ordinal)
                stored[key] = payload
        return dict(sorted(stored.items()))
