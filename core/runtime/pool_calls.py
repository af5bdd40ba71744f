"""Calls of a throughput pool, and where their results go."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from ...plugins import DeviceError
from .context import ExecutionContext, Outputs

Results = dict[str, Any]


class PoolCall(Protocol):
    """What a worker does."""

    def run(self, context: ExecutionContext, device: str | None) -> bool:
        """Execute, and keep the result or the error, which names the device when one is given.
        False when the context's device failed."""

    def drop(self, error: BaseException | None = None) -> None:
        """It was taken out of the queue: it fails, or is cancelled."""


class SubmittedCall:
    """A call with a future."""

    def __init__(self, inputs: Mapping[str, Any], outputs: Outputs) -> None:
        self.future: Future[Results] = Future()
        self._inputs = inputs
        self._outputs = outputs

    def run(self, context: ExecutionContext, device: str | None) -> bool:
        if not self.future.set_running_or_notify_cancel():
            return True
        try:
            result = context.execute(self._inputs, self._outputs)
        except BaseException as error:  # it belongs to whoever asks for the result
            self.future.set_exception(_told(error, device))
            return not isinstance(error, DeviceError)
        self.future.set_result(result)
        return True

    def drop(self, error: BaseException | None = None) -> None:
        if error is None:
            self.future.cancel()
        elif self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class MappedCall:
    """A call whose result `map` fetches, once: a Future costs as much as a small network."""

    __slots__ = ("_done", "_inputs", "_is_cancelled", "_outcome")

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._is_cancelled = False
        self._outcome: Results | BaseException = CancelledError()
        self._done = threading.Lock()
        self._done.acquire()

    def run(self, context: ExecutionContext, device: str | None) -> bool:
        try:
            if not self._is_cancelled:
                self._outcome = context.execute(self._inputs)
        except BaseException as error:  # it belongs to whoever asks for the result
            self._outcome = _told(error, device)
        finally:
            self._done.release()
        return not isinstance(self._outcome, DeviceError)

    def cancel(self) -> None:
        """Do not run it, if it has not begun."""
        self._is_cancelled = True

    def drop(self, error: BaseException | None = None) -> None:
        if error is not None:
            self._outcome = error
        self._done.release()

    def result(self) -> Results:
        """Wait for it. Raises what the call raised, CancelledError when it did not run."""
        self._done.acquire()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


def _told(error: BaseException, device: str | None) -> BaseException:
    """The error, with the device where it is the device's."""
    if device is not None and isinstance(error, DeviceError) and error.args:
        error.args = (f"on device {device!r}: {error.args[0]}", *error.args[1:])
    return error
