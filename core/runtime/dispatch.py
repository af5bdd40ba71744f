"""Which context runs which call: the one with the least to do, on the least busy device."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from queue import SimpleQueue

from ...plugins import DeviceError, PlugrtError
from .context import ExecutionContext
from .pool_calls import PoolCall


class Load:
    """What one engine's contexts are doing."""

    def __init__(self, device: str | None) -> None:
        self.device = device
        """Its name in messages; None where there is no other."""
        self.running = 0


class PooledContext:
    """One context, and the calls it was given."""

    def __init__(self, context: ExecutionContext, load: Load, capacity: int = 1) -> None:
        self.context = context
        self.load = load
        self.running = 0
        self.capacity = capacity
        """Calls that it may have under way."""
        self.calls: SimpleQueue[PoolCall | None] = SimpleQueue()
        """For the member's workers; None tells one to end."""

    @property
    def outstanding(self) -> tuple[int, int]:
        """What there is to do before a further call, here and on the device."""
        return self.running, self.load.running


class Dispatcher:
    """Hands calls to members. What no member has room for waits for the first that has, in order.

    Thread-safe. `queue_size` calls may wait; then `put` waits too.
    """

    def __init__(self, members: Sequence[PooledContext], queue_size: int) -> None:
        self._members = list(members)
        self._free = sum(member.capacity for member in members)
        self._waiting: deque[PoolCall] = deque()
        self._room: SimpleQueue[None] = SimpleQueue()
        """One item per call that may still wait."""
        for _ in range(queue_size):
            self._room.put(None)
        self._gate = threading.Lock()
        self._refusal: PlugrtError | None = None

    def put(self, call: PoolCall) -> None:
        """Give a call to a member, or let it wait. Raises PlugrtError once `refuse` was called."""
        self._room.get()
        with self._gate:
            if self._refusal is not None:
                self._room.put(None)  # for whoever else waits
                raise type(self._refusal)(*self._refusal.args)
            if not self._free:
                self._waiting.append(call)
                return
            member = min(
                [member for member in self._members if member.running < member.capacity],
                key=lambda member: member.outstanding,
            )
            member.running += 1
            member.load.running += 1
            self._free -= 1
            member.calls.put(call)  # within the gate: what ends the workers comes behind it
        self._room.put(None)

    def work(self, member: PooledContext) -> None:
        """Run a member's calls until None comes; each of its workers does this."""
        while (call := member.calls.get()) is not None:
            following: PoolCall | None = call
            while following is not None:
                is_well = following.run(member.context, member.load.device)
                if not is_well and not member.context.is_usable:
                    self._retire(member)
                following = self._next(member)

    def _next(self, member: PooledContext) -> PoolCall | None:
        with self._gate:
            if self._waiting and member.running <= member.capacity:
                self._room.put(None)
                return self._waiting.popleft()
            member.running -= 1
            member.load.running -= 1
            if member.running < member.capacity:
                self._free += 1
            return None

    def _retire(self, member: PooledContext) -> None:
        """Give a member no more calls: its device has failed for good."""
        with self._gate:
            self._free -= max(member.capacity - member.running, 0)
            member.capacity = 0
            if any(other.capacity for other in self._members):
                return
            refusal = self._refusal = self._refusal or DeviceError(
                "no device of the throughput pool can be used any more; see the first error, and "
                "start the process anew"
            )
            dropped = self._taken_out()
        self._room.put(None)
        _drop(dropped, refusal)

    def refuse(self, error: PlugrtError, *, cancel: bool) -> None:
        """Take no more calls; those that wait are run, or cancelled."""
        with self._gate:
            self._refusal = error
            dropped = self._taken_out() if cancel else []
        self._room.put(None)
        _drop(dropped, None)

    def _taken_out(self) -> list[PoolCall]:
        """The calls that wait, which no longer do."""
        found = list(self._waiting)
        self._waiting.clear()
        return found


def _drop(calls: Sequence[PoolCall], error: BaseException | None) -> None:
    """Outside the gate, as futures' callbacks may give the pool more calls."""
    for call in calls:
        call.drop(error)
