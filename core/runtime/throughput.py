"""Many independent calls at once: contexts of few threads each, on shared weights."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from ...plugins import Array, PlugrtError
from ...plugins.native import cpu
from .context import ExecutionContext

Results = dict[str, Array]


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
        self._size = queue_size
        self._waiting: deque[_Job] = deque()
        self._closed = False
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        """There is a further call, or no more will come."""
        self._room = threading.Condition(lock)
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
        with self._room:
            self._room.wait_for(lambda: self._closed or len(self._waiting) < self._size)
            if self._closed:
                raise PlugrtError("the throughput pool is closed; create another one")
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def map(self, calls: Iterable[Mapping[str, Any]]) -> Iterator[Results]:
        """The results of many calls, in order. No more calls are taken from the iterable than the
        queue and the contexts hold. Raises what the first failing call raises."""
        running: deque[Future[Results]] = deque()
        most = self.contexts + self._size
        try:
            for inputs in calls:
                running.append(self.submit(inputs))
                if len(running) >= most:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def close(self, *, cancel: bool = False) -> None:
        """Wait for all calls, those in the queue too unless they are to be cancelled; then end
        threads and contexts."""
        with self._changed:
            self._closed = True
            if cancel:
                for job in self._waiting:
                    job.future.cancel()
                self._waiting.clear()
            self._changed.notify_all()
            self._room.notify_all()
        for worker in self._workers:
            worker.join()
        for context in self._contexts:
            context.close()

    def __enter__(self) -> ThroughputPool:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.close(cancel=kind is not None)

    def _work(self, context: ExecutionContext) -> None:
        while (job := self._next()) is not None:
            job.run(context)

    def _next(self) -> _Job | None:
        """The call that waits longest; None when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting))
            if not self._waiting:
                return None
            self._room.notify()
            return self._waiting.popleft()


def _part(processors: Sequence[int] | None, index: int, threads: int) -> Sequence[int] | None:
    return None if processors is None else processors[index * threads : (index + 1) * threads]
