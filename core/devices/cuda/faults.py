"""Failures that kernels report while they run, seen by the host without a copy."""

from __future__ import annotations

import numpy as np

from ....plugins import DeviceError
from ....plugins.native.cuda import Context
from .memory import pinned_array

CAPACITY = 256


class Faults:
    """Words in pinned host memory that kernels write to, and what each means."""

    def __init__(self, context: Context) -> None:
        self._words = pinned_array(context, CAPACITY * 4).view(np.int32)
        self._words[:] = 0
        self._messages: list[str] = []

    def address(self, message: str) -> int:
        """The address of a word; equal messages share one. Raises DeviceError when all are
        taken."""
        if message not in self._messages:
            if len(self._messages) == CAPACITY:
                raise DeviceError(f"a recording can report {CAPACITY} different failures")
            self._messages.append(message)
        return int(self._words.ctypes.data) + 4 * self._messages.index(message)

    @property
    def are_possible(self) -> bool:
        """Whether some kernel may report one."""
        return bool(self._messages)

    def check(self) -> None:
        """Raise DeviceError for a failure that a kernel has reported; it is then forgotten."""
        if self._messages and self._words.any():
            found = int(np.flatnonzero(self._words)[0])
            self._words[:] = 0
            raise DeviceError(self._messages[found])
