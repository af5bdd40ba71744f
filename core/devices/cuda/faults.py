"""Failures that kernels report while they run, seen by the host without a copy."""

from __future__ import annotations

import numpy as np

from ....plugins import DeviceError
from ....plugins.native.cuda import Context
from .memory import pinned_array

CAPACITY = 256


class Faults:
    """Words in pinned host memory that kernels write to, and what each means.

    A word says that some run has failed, not which: whoever launches what `are_possible` for
    waits for other runs first. `known` tells which words a run can have written.
    """

    def __init__(self, context: Context) -> None:
        self._words = pinned_array(context, CAPACITY * 4).view(np.int32)
        self._words[:] = 0
        self._messages: list[str] = []

    def address(self, message: str) -> int:
        """The address of a word; equal messages share one. Raises DeviceError when all are
        taken."""
        if message not in self._messages:
            if len(self._messages) == CAPACITY:
                raise DeviceError(
                    f"{message!r} would be failure {CAPACITY + 1} that kernels of one context can "
                    f"report, of {CAPACITY} at most: split the network into several engines, or "
                    "let layers share a message"
                )
            self._messages.append(message)
        return int(self._words.ctypes.data) + 4 * self._messages.index(message)

    @property
    def are_possible(self) -> bool:
        """Whether some kernel may report one."""
        return bool(self._messages)

    @property
    def known(self) -> int:
        """How many there can be of what was recorded so far; later ones have higher numbers."""
        return len(self._messages)

    def check(self, known: int | None = None, whose: str = "") -> None:
        """Raise DeviceError for a failure that a kernel has reported; it is then forgotten.

        `known`, as it was when a call had been launched, leaves out what only later ones can
        report. `whose` begins the message where it is not the caller's own.
        """
        if not self._messages:
            return
        words = self._words[:known]
        if words.any():
            found = int(np.flatnonzero(words)[0])
            words[:] = 0
            raise DeviceError(whose + self._messages[found])
