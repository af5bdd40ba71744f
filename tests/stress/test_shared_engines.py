"""Many threads, few contexts, all engines at once: the bits of a call that runs by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count

import pytest

from plugrt import ThroughputPool
from tests.stress.subjects import Subject, subjects

THREADS = 16
CONTEXTS = 4

DURATIONS = [2.0, pytest.param(60.0, marks=pytest.mark.slow, id="a minute")]


@pytest.fixture(params=[1, 2], ids=["one thread each", "two threads each"])
def shared(request: pytest.FixtureRequest) -> Iterator[list[Subject]]:
    with ExitStack() as engines:
        yield list(subjects(request.param, engines))


@pytest.mark.parametrize("seconds", DURATIONS)
def test_sixteen_threads_over_four_contexts(shared: list[Subject], seconds: float) -> None:
    with ExitStack() as opened, ThreadPoolExecutor(THREADS) as pool:
        contexts = [
            [opened.enter_context(s.engine.create_context()) for _ in range(CONTEXTS)]
            for s in shared
        ]
        end = time.perf_counter() + seconds

        def work(number: int) -> int:
            for calls in count():
                if calls >= len(shared) and time.perf_counter() > end:
                    return calls
                which = (number + calls) % len(shared)
                call = (number // 4 + calls) % len(shared[which].feeds)
                context = contexts[which][(number + calls // 3) % CONTEXTS]
                shared[which].check(call, context.execute(shared[which].feeds[call]))
            raise StopIteration

        assert sum(pool.map(work, range(THREADS))) >= THREADS * len(shared)


@pytest.mark.parametrize("seconds", DURATIONS)
def test_pools_of_all_engines_at_once(shared: list[Subject], seconds: float) -> None:
    """Every pool is fed by threads of its own."""
    end = time.perf_counter() + seconds

    def work(pool: ThroughputPool, subject: Subject) -> int:
        order: list[int] = []

        def calls() -> Iterator[dict[str, object]]:
            while len(order) < 2 * len(subject.feeds) or time.perf_counter() < end:
                order.append(len(order) % len(subject.feeds))
                yield dict(subject.feeds[order[-1]])

        for position, found in enumerate(pool.map(calls())):
            subject.check(order[position], found)
        return len(order)

    with ExitStack() as opened, ThreadPoolExecutor(THREADS) as feeders:
        pools = [
            (opened.enter_context(ThroughputPool(s.engine, CONTEXTS, s.engine.info.threads)), s)
            for s in shared
            for _ in range(2)
        ]
        assert min(feeders.map(lambda given: work(*given), pools)) >= 2


@pytest.mark.parametrize("seconds", DURATIONS)
def test_contexts_come_and_go(shared: list[Subject], seconds: float) -> None:
    """Recording, and teams that end with their threads, beside calls."""
    end = time.perf_counter() + seconds

    def work(number: int) -> int:
        for calls in count():
            if calls >= 2 and time.perf_counter() > end:
                return calls
            subject = shared[(number + calls) % len(shared)]
            call = calls % len(subject.feeds)
            with subject.engine.create_context() as context:
                subject.check(call, context.execute(subject.feeds[call]))
        raise StopIteration

    with ThreadPoolExecutor(CONTEXTS) as pool:
        assert min(pool.map(work, range(CONTEXTS))) >= 2
