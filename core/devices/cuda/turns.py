"""Whose turn it is to use a context's fixed buffers: one call fills them while another computes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from ....plugins import DeviceError
from ....plugins.native.cuda import Context
from .events import Event

DEPTH = 2
"""Calls of one context that are under way at once."""


class Turn:
    """One set of fixed buffers, from a call's first copy until its results were read."""

    def __init__(self, context: Context, number: int) -> None:
        self.number = number
        self.holder: object = None
        """Who has it; None when it is free."""
        self.taken = 0
        """A number that grows from call to call."""
        self.is_pending = False
        """Whether a call left before the GPU was done; `done` tells when it is."""
        self.unsettled: Callable[[], None] | None = None
        """What waits for a call that was broken off, where nobody has waited yet."""
        self.arrived = Event(context)
        """Behind the copies from the host."""
        self.computed = Event(context)
        self.done = Event(context)
        """Behind everything."""

    def is_idle(self) -> bool:
        """Whether the GPU is done with what was put there."""
        if self.is_pending and self.unsettled is None and self.done.is_reached():
            self.is_pending = False
        return not self.is_pending and self.unsettled is None

    def wait(self) -> None:
        """Wait until it is."""
        if self.unsettled is not None:
            self.unsettled()
            self.unsettled = None
        if self.is_pending:
            self.done.synchronize()
            self.is_pending = False


class Turns:
    """A context's turns, made when first needed: calls that follow each other share one.

    A turn belongs to whoever is noted as its holder, by one assignment, and goes back when that
    holder leaves, however often it does. So a call that an exception ends anywhere, Ctrl-C's
    included, cannot keep its turn, nor give back another call's.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turns = [Turn(context, 0)]
        self._calls = 0
        # Entered by itself: a condition's own `with` is Python code, and Ctrl-C within it would
        # leave the lock taken.
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        self._waiting = 0
        """Threads that wait for somebody to leave."""

    def take(self, holder: object) -> Turn:
        """A turn whose buffers are free, for `holder`, until that leaves; waits for the oldest
        call when none is. One thread at a time may ask."""
        with self._lock:
            while (found := self._free()) is None:
                self._wait()
            found.holder = holder
            self._calls += 1
            found.taken = self._calls
        if found.is_pending or found.unsettled is not None:
            try:
                found.wait()
            except BaseException:
                self.leave(holder)
                raise
        return found

    def _free(self) -> Turn | None:
        for turn in self._turns:
            if turn.holder is None and turn.is_idle():
                return turn
        if len(self._turns) < DEPTH:
            self._turns.append(Turn(self._context, len(self._turns)))
            return self._turns[-1]
        free = [turn for turn in self._turns if turn.holder is None]
        return min(free, key=lambda turn: turn.taken, default=None)

    def _wait(self) -> None:
        """Until somebody leaves; the lock is held before and after."""
        self._waiting += 1
        try:
            self._left.wait()
        finally:
            self._waiting -= 1

    def has(self, holder: object) -> bool:
        """Whether `holder` has a turn."""
        return any(turn.holder is holder for turn in self._turns)

    def leave(self, holder: object) -> None:
        """Let the next call have the buffers of `holder`, if it has any."""
        for turn in self._turns:
            if turn.holder is holder:
                with self._lock:
                    turn.holder = None
                    if self._waiting:
                        self._left.notify_all()

    def break_off(self, holder: object, settle: Callable[[], None]) -> None:
        """Leave after a failure or Ctrl-C, once `settle` has waited for what the call has put on
        the GPU. Where that is broken off too, whoever takes the turn next waits."""
        mine = [turn for turn in self._turns if turn.holder is holder]
        try:
            for turn in mine:
                turn.unsettled = settle
            with suppress(DeviceError):
                settle()
            for turn in mine:
                turn.unsettled = None
        finally:
            self.leave(holder)

    def is_alone(self, mine: Turn) -> bool:
        """Whether no other call is under way."""
        return len(self._turns) == 1 or not any(
            turn is not mine and (turn.holder is not None or turn.is_pending)
            for turn in self._turns
        )

    def wait_for_others(self, mine: Turn | None = None) -> None:
        """Wait until all other calls have left and the GPU is done with them. Raises DeviceError
        for the first that failed, after all."""
        failure: DeviceError | None = None
        for turn in self._turns:
            if turn is not mine:
                with self._lock:
                    while turn.holder is not None:
                        self._wait()
                try:
                    turn.wait()
                except DeviceError as error:
                    failure = failure or error
        if failure is not None:
            raise failure
