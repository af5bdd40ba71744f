"""Contexts on processors of their own, contexts that stay awake, and pools of contexts."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network, PlugrtError, ThroughputPool
from plugrt.core.devices.cpu import release_team
from plugrt.plugins import Shape, TensorDesc
from plugrt.plugins.native.cpu import flushing_threads

Build = Callable[..., Engine]
Random = np.random.Generator
ALLOWED = sorted(os.sched_getaffinity(0))


@pytest.fixture
def convolutions(network: Network, rng: Random) -> Network:
    y = network.add_input("x", "float32", [1, 16, 24, 24])
    for k in range(4):
        weights = rng.standard_normal((16, 16, 3, 3)).astype(np.float32) / 12
        y = network.add_convolution(y, weights, padding=(1,) * 4, name=f"conv{k}").output
        y = network.add_mish(y, name=f"mish{k}").output
    network.mark_output(y, "y")
    return network


class Witness(LayerPlugin):
    """x + 1, once `gate` is open; notes where it runs. A negative x is an error."""

    type = "Test.SchedulingWitness"
    gate = threading.Event()
    seen: list[tuple[int, set[int]]] = []

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        self.seen.append((threading.get_native_id(), os.sched_getaffinity(0)))
        if inputs[0].flat[0] < 0:
            raise ValueError("below zero")
        assert self.gate.wait(20)
        outputs[0][...] = inputs[0] + 1


@pytest.fixture
def witness(network: Network, quick_build: Build) -> Iterator[Engine]:
    Witness.seen.clear()
    Witness.gate.set()
    x = network.add_input("x", "float32", [1])
    network.mark_output(network.add_layer(Witness(), [x], name="witness").output, "y")
    yield quick_build(network)
    Witness.gate.set()


def call(value: float) -> dict[str, Any]:
    return {"x": np.array([value], np.float32)}


# ---- processors ---------------------------------------------------------------------------------


def test_calls_run_on_the_given_processor_only(witness: Engine) -> None:
    before = os.sched_getaffinity(0)
    for processor in (ALLOWED[-1], ALLOWED[0]):
        with witness.create_context(1, processors=[processor]) as context:
            context.execute(call(1))
            assert Witness.seen[-1][1] == {processor}
            assert os.sched_getaffinity(0) == before
            with pytest.raises(DeviceError):
                context.execute(call(-1))
            assert os.sched_getaffinity(0) == before
    with witness.create_context(1) as context:
        context.execute(call(1))
    assert Witness.seen[-1][1] == before


def affinities() -> dict[int, str]:
    """The processors of every thread of this process."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("Cpus_allowed_list"))
        found[int(task.name)] = line.split()[1]
    return found


@pytest.mark.skipif(len(ALLOWED) < 2, reason="needs two processors")
def test_every_thread_of_the_team_has_its_processor(
    convolutions: Network, quick_build: Build
) -> None:
    engine = quick_build(convolutions)
    feed = {"x": np.ones((1, 16, 24, 24), np.float32)}

    def work() -> None:
        others = affinities()

        def workers() -> list[str]:
            return [where for number, where in affinities().items() if number not in others]

        with engine.create_context(2) as plain:
            plain.execute(feed)
            everywhere = workers()
            assert len(everywhere) == 1
            for processors in (ALLOWED[:2], ALLOWED[1::-1]):
                with engine.create_context(2, processors=processors) as pinned:
                    for _ in range(2):
                        pinned.execute(feed)
                        assert workers() == [str(processors[1])]
            plain.execute(feed)
            assert workers() == everywhere

    with ThreadPoolExecutor(1) as fresh:  # a new thread has a new team
        fresh.submit(work).result()


@pytest.mark.parametrize("processors", [[], [9999], [ALLOWED[0], -1]])
def test_processors_that_do_not_exist(witness: Engine, processors: list[int]) -> None:
    with pytest.raises(PlugrtError, match=r"is not possible; this process may use: \d"):
        witness.create_context(processors=processors)


# ---- spinning -----------------------------------------------------------------------------------


def processor_seconds() -> float:
    return time.process_time()


def test_a_spinning_context_stays_awake_for_its_time(
    convolutions: Network, quick_build: Build, rng: Random
) -> None:
    engine = quick_build(convolutions)
    feed = {"x": rng.standard_normal((1, 16, 24, 24)).astype(np.float32)}
    with engine.create_context() as plain:
        wanted = plain.execute(feed)["y"]
    with engine.create_context(spin_seconds=0.3) as context:
        for gap in (0.0, 0.02, 0.0):
            np.testing.assert_array_equal(context.execute(feed)["y"], wanted)
            time.sleep(gap)
        context.execute(feed)
        before = processor_seconds()
        time.sleep(0.15)
        busy = processor_seconds() - before
        time.sleep(0.6)
        before = processor_seconds()
        time.sleep(0.15)
        idle = processor_seconds() - before
        assert idle < busy / 2  # it spun, and then slept
        np.testing.assert_array_equal(context.execute(feed)["y"], wanted)
        assert all(time.seconds >= 0 for time in context.profile(feed, runs=2))
    threads = len(affinities())
    context = engine.create_context(spin_seconds=30.0)
    context.execute(feed)
    context.close()  # at once
    context = engine.create_context(spin_seconds=30.0)
    context.execute(feed)
    del context  # without `close`
    gc.collect()
    assert len(affinities()) <= threads


def test_errors_of_a_spinning_context(witness: Engine) -> None:
    with witness.create_context(spin_seconds=0.01, processors=ALLOWED[:1]) as context:
        with pytest.raises(DeviceError, match=r"layer 'witness' failed: ValueError: below zero"):
            context.execute(call(-1))
        assert context.execute(call(1))["y"] == [2]
        assert Witness.seen[-1][0] != threading.get_native_id()
        assert Witness.seen[-1][1] == {ALLOWED[0]}
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(PlugrtError, match=r"spin_seconds=.* is not possible; use 0 or more"):
            witness.create_context(spin_seconds=seconds)


def test_building_and_recording_leave_no_team_behind(
    convolutions: Network, quick_build: Build
) -> None:
    """libgomp lets no team spin where all together have more threads than there are processors."""

    def work() -> None:
        before = len(affinities())
        engine = quick_build(convolutions, tune="fast")
        assert len(affinities()) == before
        with engine.create_context(2) as context:
            shapes = {"x": (1, 16, 24, 24)}
            recording = context.recording(shapes)
            recording.variant(recording.segments[0], recording.sizes)
            assert len(affinities()) == before
            feed = {"x": np.full(shapes["x"], 1e-40, np.float32)}
            first = context.execute(feed)["y"]
            assert len(affinities()) == before + 1
            assert flushing_threads(2) == 1  # the caller's own setting is back
            release_team()
            assert len(affinities()) == before
            np.testing.assert_array_equal(context.execute(feed)["y"], first)

    with ThreadPoolExecutor(1) as fresh:
        fresh.submit(work).result()


# ---- pools --------------------------------------------------------------------------------------


def test_a_pool_computes_what_a_context_does(
    convolutions: Network, quick_build: Build, rng: Random
) -> None:
    engine = quick_build(convolutions, threads=1)
    feeds = [
        {"x": rng.standard_normal((1, 16, 24, 24)).astype(np.float32)} for _ in range(20)
    ]
    with engine.create_context() as context:
        wanted = [context.execute(feed)["y"] for feed in feeds]
    with ThroughputPool(engine, contexts=3) as pool:
        assert pool.contexts == 3
        futures = [pool.submit(feed) for feed in feeds]
        for found in ([f.result() for f in futures], list(pool.map(iter(feeds)))):
            for mine, theirs in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(mine["y"], theirs)
        own = np.empty_like(wanted[0])
        assert pool.submit(feeds[0], {"y": own}).result()["y"] is own
        np.testing.assert_array_equal(own, wanted[0])


def test_calls_run_at_once_and_the_queue_is_bounded(witness: Engine) -> None:
    Witness.gate.clear()
    with ThroughputPool(witness, contexts=2, queue_size=1) as pool:
        futures = [pool.submit(call(k)) for k in range(3)]
        while len(Witness.seen) < 2:
            time.sleep(1e-3)
        started: list[Future[Any]] = []
        waiting = threading.Thread(target=lambda: started.append(pool.submit(call(3))))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()  # two run, one waits, and there is no room
        Witness.gate.set()
        waiting.join(20)
        results = [future.result(20)["y"][0] for future in (*futures, *started)]
        assert results == [1, 2, 3, 4]
        assert len({number for number, _ in Witness.seen}) == 2


def test_map_takes_no_more_than_it_needs(witness: Engine) -> None:
    taken: list[int] = []

    def calls() -> Iterator[dict[str, Any]]:
        for k in range(100):
            taken.append(k)
            yield call(k)

    with ThroughputPool(witness, contexts=1, queue_size=2) as pool:
        results = pool.map(calls())
        assert next(results)["y"] == [1]
        assert len(taken) <= 4
        assert [float(result["y"][0]) for result in results] == list(range(2, 101))


def test_errors_reach_whoever_asks(witness: Engine) -> None:
    with ThroughputPool(witness, contexts=2) as pool:
        bad, missing, good = pool.submit(call(-1)), pool.submit({}), pool.submit(call(1))
        with pytest.raises(DeviceError, match="below zero"):
            bad.result()
        with pytest.raises(PlugrtError, match="input 'x' is missing"):
            missing.result()
        assert good.result()["y"] == [2]
        with pytest.raises(DeviceError, match="below zero"):
            list(pool.map([call(1), call(-1), call(1)]))
        assert pool.submit(call(4)).result()["y"] == [5]


def test_closing(witness: Engine) -> None:
    Witness.gate.clear()
    pool = ThroughputPool(witness, contexts=1, queue_size=4)
    futures = [pool.submit(call(k)) for k in range(3)]
    while not Witness.seen:
        time.sleep(1e-3)
    closing = threading.Thread(target=lambda: pool.close(cancel=True))
    closing.start()
    for future in futures[1:]:
        with pytest.raises(CancelledError):
            future.result(20)
    Witness.gate.set()
    closing.join(20)
    assert futures[0].result()["y"] == [1]  # it was running
    pool.close()  # twice does no harm
    with pytest.raises(PlugrtError, match="the throughput pool is closed"):
        pool.submit(call(1))
    with ThroughputPool(witness, contexts=1) as pool:
        futures = [pool.submit(call(k)) for k in range(3)]
    assert [future.result(0)["y"][0] for future in futures] == [1, 2, 3]  # close() waited
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("plugrt pool") for name in names)


def test_closing_ends_a_map_that_waits(witness: Engine) -> None:
    Witness.gate.clear()
    pool = ThroughputPool(witness, contexts=1, queue_size=4)
    results: list[float] = []
    raised: list[BaseException] = []

    def consume() -> None:
        try:
            results.extend(float(found["y"][0]) for found in pool.map(call(k) for k in range(4)))
        except BaseException as error:
            raised.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    while not Witness.seen:
        time.sleep(1e-3)
    time.sleep(0.05)  # the other calls are queued
    closing = threading.Thread(target=lambda: pool.close(cancel=True))
    closing.start()
    time.sleep(0.05)
    Witness.gate.set()
    for thread in (closing, consumer):
        thread.join(20)
        assert not thread.is_alive()
    assert results == [1]  # it was running
    assert [type(error) for error in raised] == [CancelledError]


def test_a_pool_on_processors(witness: Engine) -> None:
    with ThroughputPool(witness, contexts=1, processors=ALLOWED[-1:]) as pool:
        pool.submit(call(1)).result()
    assert Witness.seen[-1][1] == {ALLOWED[-1]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contexts": 0}, "contexts=0 is not possible"),
        ({"threads": 0}, "threads=0 is not possible"),
        ({"queue_size": 0}, "queue_size=0 is not possible"),
        ({"contexts": 2, "processors": ALLOWED[:1]}, "1 processors are too few for 2 contexts"),
    ],
)
def test_impossible_pools(witness: Engine, options: Any, message: str) -> None:
    with pytest.raises(PlugrtError, match=message):
        ThroughputPool(witness, **options)


def hammer(engine: Engine, rng: Random, seconds: float) -> int:
    """16 threads over 4 contexts; how many calls gave the same bits as a call by itself."""
    feeds = [{"x": rng.standard_normal((1, 16, 24, 24)).astype(np.float32)} for _ in range(8)]
    contexts = [engine.create_context() for _ in range(4)]
    wanted = [contexts[0].execute(feed)["y"] for feed in feeds]
    end = time.perf_counter() + seconds

    def work(number: int) -> int:
        count = 0
        while count < 2 or time.perf_counter() < end:
            which = (number + count) % len(feeds)
            found = contexts[(number + count) % 4].execute(feeds[which])["y"]
            np.testing.assert_array_equal(found, wanted[which])
            count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        total = sum(pool.map(work, range(16)))
    for context in contexts:
        context.close()
    return total


@pytest.mark.parametrize(
    "seconds", [1.0, pytest.param(60.0, marks=pytest.mark.slow, id="a minute")]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_sixteen_threads_over_four_contexts(
    convolutions: Network, quick_build: Build, rng: Random, threads: int, seconds: float
) -> None:
    assert hammer(quick_build(convolutions, threads=threads), rng, seconds) >= 32
