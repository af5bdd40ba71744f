"""Checks of a plan's large sections, on a thread of their own while the rest is read."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class LateChecks:
    """What is still being checked; nothing may be computed with before `wait` has returned."""

    def __init__(self) -> None:
        self._pending: list[Future[None]] = []
        self._executor: ThreadPoolExecutor | None = None

    def add(self, check: Callable[[], None]) -> None:
        """Begin a check, which raises PlanError; checks run one after the other."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="plugrt-check")
        try:
            self._pending.append(self._executor.submit(check))
        except RuntimeError:  # no more threads
            check()

    def wait(self) -> None:
        """Until all are done. Raises the first error; calling it again costs nothing."""
        pending, self._pending = self._pending, []
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
        for check in pending:
            check.result()


class ChecksDone(LateChecks):
    """For a plan whose large sections were checked before."""

    def add(self, check: Callable[[], None]) -> None:
        """Leave it out."""
