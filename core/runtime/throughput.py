"""Many independent calls at once: contexts of few threads each, on shared weights."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from ...plugins import Array, PlugrtError
from ...plugins.native import cpu
from .context import ExecutionContext

Results = dict[str, Any]


class ContextMaker(Protocol):
    """An engine, as far as a pool cares."""

    def create_context(
        self, threads: int | None = None, *, processors: Sequence[int] | None = None
    ) -> ExecutionContext:
        """A further context."""


class _Job:
    """A call that waits for a context, and where its result goes."""

    def __init__(self, inputs: Mapping[str, Any], outputs: Mapping[str, Array] | None) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.future: Future[Results] = Future()

    def run(self, context: ExecutionContext) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = context.execute(self.inputs, self.outputs)
        except BaseException as error:  # it belongs to whoever asks for the result
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def drop(self) -> None:
        """It was taken out of the queue and will not run."""
        self.future.cancel()


class _Call:
    """A call whose result `map` fetches, once: a Future costs as much as a small network."""

    __slots__ = ("_done", "_inputs", "_is_cancelled", "_outcome")

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self._is_cancelled = False
        self._outcome: Results | BaseException = CancelledError()
        self._done = threading.Lock()
        self._done.acquire()

    def run(self, context: ExecutionContext) -> None:
        try:
            if not self._is_cancelled:
                self._outcome = context.execute(self._inputs)
        except BaseException as error:  # it belongs to whoever asks for the result
            self._outcome = error
        finally:
            self._done.release()

    def cancel(self) -> None:
        """Do not run it, if it has not begun."""
        self._is_cancelled = True

    def drop(self) -> None:
        """It was taken out of the queue and will not run."""
        self._done.release()

    def result(self) -> Results:
        self._done.acquire()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome


class ThroughputPool:
    """Runs calls on several contexts of one engine, each in a thread of its own.

    Per second this computes more than one context with all threads, which must wait for each
    other at every layer; a single call takes longer. Engines built for as many threads as
    each context has are the fastest. `contexts` is by default as many as processors allow;
    `queue_size` calls may wait (by default two per context): then `submit` waits too.
    `processors` pins the contexts' threads, `threads` of them to each context in order.

    Use it as a context manager, or call `close`. Raises PlugrtError for impossible numbers.
    """

    def __init__(
        self, engine: ContextMaker, contexts: int | None = None, threads: int = 1, *,
        queue_size: int | None = None, processors: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        if contexts is None:
            contexts = max(1, cpu.available_processors() // max(threads, 1))
        if queue_size is None:
            queue_size = 2 * contexts
        for name, value in (
            ("contexts", contexts), ("threads", threads), ("queue_size", queue_size)
        ):  # fmt: skip
            if value < 1:
                raise PlugrtError(f"{name}={value} is not possible; use 1 or more")
        if processors is not None and len(processors) < contexts * threads:
            raise PlugrtError(
                f"{len(processors)} processors are too few for {contexts} contexts of {threads} "
                f"threads; give {contexts * threads}, or None"
            )
        self._queue_size = queue_size
        self._waiting: SimpleQueue[_Job | _Call | None] = SimpleQueue()
        """Calls for whoever is free next; None tells a worker to end."""
        self._room: SimpleQueue[None] = SimpleQueue()
        """One item per call that may still be queued."""
        for _ in range(queue_size):
            self._room.put(None)
        self._closed = False
        self._gate = threading.Lock()
        """No call is queued behind the end."""
        self._contexts = [
            engine.create_context(threads, processors=_part(processors, k, threads))
            for k in range(contexts)
        ]
        self._workers = [
            threading.Thread(target=self._work, args=(context,), name=f"plugrt pool {k}")
            for k, context in enumerate(self._contexts)
        ]
        for worker in self._workers:
            worker.daemon = True  # a pool that nobody closes must not keep the process alive
            worker.start()

    @property
    def contexts(self) -> int:
        """How many calls run at once."""
        return len(self._contexts)

    def submit(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Array] | None = None
    ) -> Future[Results]:
        """Start a call like `ExecutionContext.execute`, waiting while the queue is full.

        Do not change the arrays before the result is there; errors are raised by the future's
        `result()`. Raises PlugrtError when the pool is closed.
        """
        job = _Job(inputs, outputs)
        self._put(job)
        return job.future

    def map(self, calls: Iterable[Mapping[str, Any]]) -> Iterator[Results]:
        """The results of many calls, in order. No more calls are taken from the iterable than the
        queue and the contexts hold. Raises what the first failing call raises."""
        running: deque[_Call] = deque()
        most = self.contexts + self._queue_size
        try:
            for inputs in calls:
                call = _Call(inputs)
                self._put(call)
                running.append(call)
                if len(running) >= most:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for call in running:
                call.cancel()

    def close(self, *, cancel: bool = False) -> None:
        """Wait for all calls, those in the queue too unless they are to be cancelled; then end
        threads and contexts."""
        with self._gate:
            self._closed = True
            if cancel:
                self._cancel_waiting()
            for _ in self._workers:
                self._waiting.put(None)
        self._room.put(None)
        for worker in self._workers:
            worker.join()
        for context in self._contexts:
            context.close()

    def __enter__(self) -> ThroughputPool:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.close(cancel=kind is not None)

    def _put(self, job: _Job | _Call) -> None:
        self._room.get()
        with self._gate:
            if self._closed:
                self._room.put(None)  # for whoever else waits
                raise PlugrtError("the throughput pool is closed; create another one")
            self._waiting.put(job)

    def _work(self, context: ExecutionContext) -> None:
        while (job := self._waiting.get()) is not None:
            self._room.put(None)
            job.run(context)

    def _cancel_waiting(self) -> None:
        with suppress(Empty):
            while True:
                job = self._waiting.get_nowait()
                if job is not None:
                    job.drop()


def _part(processors: Sequence[int] | None, index: int, threads: int) -> Sequence[int] | None:
    return None if processors is None else processors[index * threads : (index + 1) * threads]
