"""Many plans built at once, by processes: within one, cuDNN builds them one after the other.

They reach the caller through the disk cache of kernels. Run as a module, this is a worker.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import IO

from ....errors import DeviceError
from ....expression import to_plain
from .. import kernel_cache
from ..devices import device_properties
from ..lent_code import lent
from .convolution import ConvolutionGraph

Request = tuple[ConvolutionGraph, str]

FEWEST_PER_PROCESS = 2
"""A process takes as long to start as some such groups to build."""

MOST_PROCESSES = 16

BYTES_PER_PROCESS = 2 << 30
"""Memory of the GPU for each: they take a quarter of it, and whoever tunes needs some too."""


def build_ahead(
    requests: Iterable[Request], ordinal: int = 0, processes: int | None = None
) -> Mapping[Request, float]:
    """Put plans into the disk cache, so that `ConvolutionGraph.build` finds them.

    Building begins while `requests` are still being found, all of which are taken. What cannot be
    built is left out; `build` then says why. Without a disk cache, or for few plans, nothing is
    done. `processes` is chosen by processors and memory by default. Gives the seconds that each
    plan took.
    """
    most = processes or _most_processes(ordinal)
    crew = _Crew(ordinal, most if kernel_cache.folder() is not None else 0)
    try:
        for graph, name in requests:
            crew.add(graph, name)
    finally:
        crew.finish()
    return crew.seconds


def group_of(graph: ConvolutionGraph, name: str) -> str:
    """Equal for plans that one compilation may serve: a process keeps what it has compiled."""
    types = [desc.dtype.value for desc in (graph.input, graph.output, *graph.operands)]
    return repr((name, to_plain(graph.expression), types))


def _most_processes(ordinal: int) -> int:
    # One processor is left to whoever asks for more meanwhile.
    processors = min(len(os.sched_getaffinity(0)) - 1, MOST_PROCESSES)
    try:
        return min(processors, device_properties(ordinal).memory_bytes // BYTES_PER_PROCESS)
    except DeviceError:  # `build` will tell
        return 0


class _Crew:
    """Threads with a process each, which take group by group."""

    def __init__(self, ordinal: int, most: int) -> None:
        self.ordinal = ordinal
        self.seconds: dict[Request, float] = {}
        self._most = most
        self._known: set[Request] = set()
        self._groups: dict[str, _Worker | None] = {}
        """All groups, each with the worker that has begun it."""
        self._waiting: dict[str, list[Request]] = {}
        self._workers: list[_Worker] = []
        self._is_complete = False
        self._changed = threading.Condition()

    def add(self, graph: ConvolutionGraph, name: str) -> None:
        """Have a plan built, unless it is on disk or was asked for before."""
        request = graph, name
        if self._most < 2 or request in self._known:
            return
        self._known.add(request)
        key = graph.cache_key(name, self.ordinal)
        if lent(key) is not None or kernel_cache.read(key) is not None:
            return
        group = group_of(graph, name)
        with self._changed:
            self._waiting.setdefault(group, []).append(request)
            self._groups.setdefault(group, None)
            self._changed.notify()
            wanted = min(self._most, len(self._groups) // FEWEST_PER_PROCESS)
        while 2 <= wanted > len(self._workers):
            self._workers.append(_Worker(self))

    def finish(self) -> None:
        """Wait until everything has been built that workers were started for."""
        with self._changed:
            self._is_complete = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def take(self, worker: _Worker) -> list[Request] | None:
        """Work for a worker: more of a group that it has begun, or else one that nobody has, or
        anything. None where there will be no more."""
        with self._changed:
            while not self._waiting:
                if self._is_complete:
                    return None
                self._changed.wait()
            groups = self._groups
            own = [group for group in self._waiting if groups[group] is worker]
            new = [group for group in self._waiting if groups[group] is None]
            group = (own or new or list(self._waiting))[0]
            groups[group] = groups[group] or worker
            return self._waiting.pop(group)


class _Worker(threading.Thread):
    """Hands groups to a process of its own until none is left."""

    def __init__(self, crew: _Crew) -> None:
        super().__init__(daemon=True)
        self._crew = crew
        # Not multiprocessing: its workers import the caller's main module, which may run anything.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self.start()

    def run(self) -> None:
        to, answers = self._process.stdin, self._process.stdout
        if to is None or answers is None:
            return
        # A process that does not start or dies leaves its work to `build`.
        with self._process, suppress(OSError, ValueError):
            while (group := self._crew.take(self)) is not None:
                taken = self._built(group, to, answers)
                self._crew.seconds.update(zip(group, taken, strict=True))

    def _built(
        self, group: list[Request], to: IO[bytes], answers: IO[bytes]
    ) -> list[float]:
        pickle.dump((group, self._crew.ordinal), to)
        to.flush()
        taken: list[float] = json.loads(answers.readline())
        return taken


def _work() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print
    while True:
        try:
            requests, ordinal = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        taken = []
        for graph, name in requests:
            start = perf_counter()
            with suppress(DeviceError):
                graph.build(name, ordinal)
            taken.append(perf_counter() - start)
        print(json.dumps(taken), file=answers, flush=True)


if __name__ == "__main__":
    _work()
