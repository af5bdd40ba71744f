"""The state of the caches in which a layer is timed: the one it meets in its network.

Activations were just written by the layer before. Weights were last read one inference ago;
where they are by then depends on how much the network has touched in between.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np

from ....plugins import Array
from .extension import ffi, lib

PAGE = 4096
TRANSLATIONS = 4096
"""Pages whose addresses fill the processor's translation buffers (Zen 4: 3072 entries)."""

SYSTEM = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = {2: 1 << 20, 3: 16 << 20}
"""Bytes of the caches where the system does not tell."""


class Weights(Enum):
    """Where a layer's weights are when it starts."""

    L2 = "l2"
    L3 = "l3"
    MEMORY = "memory"

    @classmethod
    def of_network(cls, touched: int, threads: int) -> Weights:
        """For a network that touches so many bytes at each inference. Half of a cache is
        counted: others use it too, and its sets fill unevenly."""
        if 2 * touched <= threads * cache_bytes(2):
            return cls.L2
        return cls.L3 if 2 * touched <= cache_bytes(3) else cls.MEMORY


class CacheState:
    """A state that C code brings the caches into; see cache_state.h. Keeps the arrays alive."""

    def __init__(
        self, where: Weights, weights: Sequence[Array], activations: Sequence[Array]
    ) -> None:
        self._kept: list[object] = [*weights, *activations]
        self.handle = ffi.new("plugrt_cache_state *")
        self.handle.weights = self._spans(weights)
        self.handle.weight_count = len(weights)
        self.handle.activations = self._spans(activations)
        self.handle.activation_count = len(activations)
        self.handle.sweep_step = PAGE
        if where is Weights.L2 or not weights:
            return
        if where is Weights.MEMORY:
            self.handle.evict = 1
            # A page apart, and not in the same set of the first-level cache.
            size, self.handle.sweep_step = TRANSLATIONS * (PAGE + 64), PAGE + 64
        else:
            size, self.handle.sweep_step = 2 * cache_bytes(2), 64
        memory = _sweep(size)
        self._kept.append(memory)
        self.handle.sweep = ffi.cast("const char *", memory.ctypes.data)
        self.handle.sweep_bytes = size

    def prepare(self, threads: int) -> None:
        """Bring the caches of the calling thread's team into this state."""
        lib.plugrt_prepare_caches(self.handle, threads)

    def _spans(self, arrays: Sequence[Array]) -> object:
        spans = ffi.new("plugrt_span[]", max(len(arrays), 1))
        for span, array in zip(spans, arrays, strict=False):
            span.start = ffi.cast("void *", array.ctypes.data)
            span.bytes = array.nbytes
        self._kept.append(spans)
        return spans


@cache
def cache_bytes(level: int) -> int:
    """The size of a processor's cache of this level, a shared one whole."""
    for index in range(8):
        folder = SYSTEM / f"index{index}"
        try:
            if int((folder / "level").read_text()) == level:
                text = (folder / "size").read_text().strip()
                return int(text.rstrip("KM")) << {"K": 10, "M": 20}.get(text[-1], 0)
        except (OSError, ValueError):
            continue
    name = f"SC_LEVEL{level}_CACHE_SIZE"
    found = os.sysconf(name) if name in os.sysconf_names else 0
    return found if found > 0 else USUAL[level]


@cache
def _sweep(size: int) -> Array:
    """Memory in small pages, so that each has an address to translate."""
    memory = mmap.mmap(-1, size)
    with suppress(OSError):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(memory, np.uint8)
    array[...] = 1  # else all pages would be the system's one page of zeros
    return array
