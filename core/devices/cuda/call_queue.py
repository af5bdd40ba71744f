"""Calls that nobody waits for: one thread begins them, another one takes their results."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Begun = TypeVar("Begun")
Results = dict[str, Any]


class CallQueue:
    """Runs calls in order, the next one being begun while the last one is under way."""

    def __init__(self) -> None:
        self._beginner = ThreadPoolExecutor(1, thread_name_prefix="plugrt")
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="plugrt results")

    def put(
        self, begin: Callable[[], Begun], finish: Callable[[Begun], Results]
    ) -> Future[Results]:
        """What `finish` makes of what `begin` returns, some time."""
        future: Future[Results] = Future()
        self._beginner.submit(self._begin, future, begin, finish)
        return future

    def _begin(
        self, future: Future[Results], begin: Callable[[], Begun],
        finish: Callable[[Begun], Results],
    ) -> None:  # fmt: skip
        if future.set_running_or_notify_cancel():
            try:
                begun = begin()
            except BaseException as error:  # it belongs to whoever asks for the result
                future.set_exception(error)
                return
            try:
                self._finisher.submit(self._finish, future, finish, begun)
            except RuntimeError:  # the interpreter ends; what was begun is ended nevertheless
                self._finish(future, finish, begun)

    @staticmethod
    def _finish(
        future: Future[Results], finish: Callable[[Begun], Results], begun: Begun
    ) -> None:
        try:
            future.set_result(finish(begun))
        except BaseException as error:  # it belongs to whoever asks for the result
            future.set_exception(error)

    def close(self) -> None:
        """Wait for all calls."""
        self._beginner.shutdown(wait=True)
        self._finisher.shutdown(wait=True)
