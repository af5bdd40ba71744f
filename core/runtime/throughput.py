"""Many independent calls at once: contexts on shared weights, on one device or several."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, Protocol, Union

from ...plugin_registry import Registry
from ...plugins import PlugrtError
from ...plugins.native import cpu
from ..devices.target import HOST
from ..engine.engine import Engine
from .context import ExecutionContext, Outputs
from .dispatch import Dispatcher, Load, PooledContext
from .pool_calls import MappedCall, Results, SubmittedCall

CONTEXTS_PER_GPU = 2
"""One more computes while one waits for its results to be fetched."""

MOST_AHEAD = 2
"""Contexts of an engine that are each given a second call ahead. Where there are more, the others
compute while one copies, and more threads would only wait for each other."""


class ContextMaker(Protocol):
    """An engine, as far as a pool cares."""

    @property
    def device(self) -> str:
        """Where it runs."""

    def create_context(
        self, threads: int | None = None, *, processors: Sequence[int] | None = None
    ) -> ExecutionContext:
        """A further context."""


class ThroughputPool:
    """Runs calls on several contexts, of one engine or of several that compute the same.

    On the CPU each context has a few threads: per second this computes more than one context
    with all threads, which must wait for each other at every layer; a single call takes longer.
    Engines built for as many threads as each context has are the fastest. On GPUs each context
    has a stream of its own, and copies one call's arrays while it computes another's.

    A call goes to the context with the fewest calls under way, among equals to the device with
    the fewest; when all have enough to do it waits for the first that is free. `contexts` is the
    number for each engine, by default as many as processors allow, and two on a GPU, where small
    batches gain from up to eight; `queue_size` calls may wait (by default two per context): then
    `submit` waits too. `processors` pins the contexts' threads, `threads` of them to each context
    in order.

    Use it as a context manager, or call `close`. Raises PlugrtError for impossible numbers.
    """

    def __init__(
        self, engine: ContextMaker | Sequence[ContextMaker], contexts: int | None = None,
        threads: int = 1, *, queue_size: int | None = None,
        processors: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        engines = list(engine) if isinstance(engine, Sequence) else [engine]
        if not engines:
            raise PlugrtError("a throughput pool needs an engine; give one or more")
        _check_positive(contexts=contexts, threads=threads, queue_size=queue_size)
        counts = [_default(e, engines, threads) if contexts is None else contexts for e in engines]
        if processors is not None and len(processors) < sum(counts) * threads:
            raise PlugrtError(
                f"{len(processors)} processors are too few for {sum(counts)} contexts of "
                f"{threads} threads; give {sum(counts) * threads}, or None"
            )
        self._owned: list[Engine] = []
        """Engines that are closed with the pool."""
        self._queue_size = 2 * sum(counts) if queue_size is None else queue_size
        self._members = _members(engines, counts, threads, processors)
        self._dispatcher = Dispatcher(self._members, self._queue_size)
        self._workers: list[threading.Thread] = []
        """Those that have started."""
        try:
            self._start_workers()
        except BaseException:
            self._end()
            raise
        self._most_running = len(self._workers) + self._queue_size

    def _start_workers(self) -> None:
        for k, member in enumerate(self._members):
            for turn in range(member.capacity):
                worker = threading.Thread(
                    target=self._dispatcher.work, args=(member,), name=f"plugrt pool {k}.{turn}",
                    daemon=True,  # a pool that nobody closes must not keep the process alive
                )  # fmt: skip
                worker.start()
                self._workers.append(worker)

    @classmethod
    def load(
        cls, plan: Union[str, os.PathLike[str], bytes], devices: Sequence[str],  # noqa: UP007
        contexts: int | None = None, threads: int = 1, *, registry: Registry | None = None,
        queue_size: int | None = None, trusted: bool = False,
    ) -> ThroughputPool:  # fmt: skip
        """A pool of engines of its own, one from the same plan for each device, such as
        ["cuda:0", "cuda:1"]; `close` closes them too. `trusted` is `Engine.load`'s.

        Raises what `Engine.load` raises, DeviceError for a device that cannot be used.
        """
        engines: list[Engine] = []
        try:
            for device in devices:
                options: Any = {"device": device, "trusted": trusted}
                if isinstance(plan, bytes):
                    engines.append(Engine.from_bytes(plan, registry, **options))
                else:
                    engines.append(Engine.load(plan, registry, **options))
            pool = cls(engines, contexts, threads, queue_size=queue_size)
        except BaseException:
            _close_all(engines)
            raise
        pool._owned = engines
        return pool

    @property
    def contexts(self) -> int:
        """How many there are, of all engines."""
        return len(self._members)

    def submit(self, inputs: Mapping[str, Any], outputs: Outputs = None) -> Future[Results]:
        """Start a call like `ExecutionContext.execute`, waiting while the queue is full.

        Do not change the arrays before the result is there; errors are raised by the future's
        `result()`, and those of a device name it where there are several. Raises PlugrtError
        when the pool is closed, DeviceError when no device of it can be used any more.
        """
        call = SubmittedCall(inputs, outputs)
        self._dispatcher.put(call)
        return call.future

    def map(self, calls: Iterable[Mapping[str, Any]]) -> Iterator[Results]:
        """The results of many calls, in order. No more calls are taken from the iterable than the
        queue and the contexts hold. Raises what the first failing call raises."""
        running: deque[MappedCall] = deque()
        try:
            for inputs in calls:
                call = MappedCall(inputs)
                self._dispatcher.put(call)
                running.append(call)
                if len(running) >= self._most_running:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for call in running:
                call.cancel()

    def close(self, *, cancel: bool = False) -> None:
        """Wait for all calls, those in the queue too unless they are to be cancelled; then end
        threads and contexts, and the engines that `load` has made."""
        self._dispatcher.refuse(
            PlugrtError("the throughput pool is closed; create another one"), cancel=cancel
        )
        self._end()

    def _end(self) -> None:
        """End the workers once they have done what they were given, and close what they used."""
        for member in self._members:
            for _ in range(len(self._workers) + 1):  # one may have started, and not be listed yet
                member.calls.put(None)
        for worker in self._workers:
            worker.join()
        owned, self._owned = self._owned, []
        _close_all([*owned, *(member.context for member in self._members)])

    def __enter__(self) -> ThroughputPool:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.close(cancel=kind is not None)


def _members(
    engines: Sequence[ContextMaker], counts: Sequence[int], threads: int,
    processors: Sequence[int] | None,
) -> list[PooledContext]:  # fmt: skip
    """Contexts of all engines; a later one's failure closes the earlier ones."""
    members: list[PooledContext] = []
    try:
        for engine, count in zip(engines, counts, strict=True):
            load = Load(engine.device if len(engines) > 1 else None)
            for _ in range(count):
                part = None
                if processors is not None:
                    start = len(members) * threads
                    part = processors[start : start + threads]
                context = engine.create_context(threads, processors=part)
                ahead = context.calls_at_once if count <= MOST_AHEAD else 1
                members.append(PooledContext(context, load, ahead))
    except BaseException:
        _close_all([member.context for member in members])
        raise
    return members


def _close_all(users: Sequence[Engine | ExecutionContext]) -> None:
    """Close all, the last one first, whichever of them fails to."""
    with ExitStack() as closing:
        for user in users:
            closing.callback(user.close)


def _default(engine: ContextMaker, engines: Sequence[ContextMaker], threads: int) -> int:
    if engine.device != HOST:
        return CONTEXTS_PER_GPU
    sharers = sum(other.device == HOST for other in engines)
    return max(1, cpu.available_processors() // (max(threads, 1) * sharers))


def _check_positive(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise PlugrtError(f"{name}={value} is not possible; use 1 or more")
