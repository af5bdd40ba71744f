"""Whose turn it is to use a context's fixed buffers: one call fills them while another computes."""

from __future__ import annotations

import threading

from ....plugins.native.cuda import Context
from .events import Event

DEPTH = 2
"""Calls of one context that are under way at once."""


class Turn:
    """One set of fixed buffers, from a call's first copy until its results were read."""

    def __init__(self, context: Context, number: int) -> None:
        self.number = number
        self.busy = threading.Lock()
        self.taken = 0
        """A number that grows from call to call."""
        self.is_pending = False
        """Whether a call left before the GPU was done; `done` tells when it is."""
        self.arrived = Event(context)
        """Behind the copies from the host."""
        self.computed = Event(context)
        self.done = Event(context)
        """Behind everything."""

    def is_idle(self) -> bool:
        """Whether the GPU is done with what was put there."""
        if self.is_pending and self.done.is_reached():
            self.is_pending = False
        return not self.is_pending

    def wait(self) -> None:
        """Wait until it is."""
        if self.is_pending:
            self.done.synchronize()
            self.is_pending = False

    def leave(self) -> None:
        """Let the next call have the buffers."""
        self.busy.release()


class Turns:
    """A context's turns, made when first needed: calls that follow each other share one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns = [Turn(context, 0)]
        self._calls = 0

    def take(self) -> Turn:
        """A turn whose buffers are free; waits for the oldest call when none is. One thread at a
        time may ask."""
        found = self._free()
        if found is None and len(self._turns) < DEPTH:
            found = Turn(self._context, len(self._turns))
            found.busy.acquire()
            self._turns.append(found)
        if found is None:
            found = min(self._turns, key=lambda turn: turn.taken)
            found.busy.acquire()
            try:
                found.wait()
            except BaseException:
                found.leave()
                raise
        self._calls += 1
        found.taken = self._calls
        return found

    def _free(self) -> Turn | None:
        for turn in self._turns:
            if turn.busy.acquire(blocking=False):
                if turn.is_idle():
                    return turn
                turn.busy.release()
        return None

    def is_alone(self, mine: Turn) -> bool:
        """Whether no other call is under way."""
        return len(self._turns) == 1 or not any(
            turn is not mine and (turn.is_pending or turn.busy.locked()) for turn in self._turns
        )

    def wait_for_others(self, mine: Turn | None = None) -> None:
        """Wait until all other calls have left."""
        for turn in self._turns:
            if turn is not mine:
                with turn.busy:
                    turn.wait()
