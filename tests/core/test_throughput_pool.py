"""Pools over several engines: who gets a call, and what happens when one fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import DeviceError, Engine, LayerPlugin, Network, PlugrtError, ThroughputPool
from plugrt.core.runtime.context import ExecutionContext
from plugrt.plugins import Shape, TensorDesc, attribute

Build = Callable[..., Engine]


class Marked(LayerPlugin):
    """x + `mark`, once a gate is open; notes its mark when it begins. A negative x is an error."""

    type = "Test.Marked"
    gate = threading.Event()
    begun: list[float] = []
    mark = attribute(float, 0.0, "added to x")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        self.begun.append(self.mark)
        if inputs[0].flat[0] < 0:
            raise ValueError("below zero")
        assert self.gate.wait(20)
        outputs[0][...] = inputs[0] + self.mark


@pytest.fixture
def engines(quick_build: Build) -> Iterator[list[Engine]]:
    """Two, which add 100 and 200."""
    Marked.begun.clear()
    Marked.gate.set()
    made = []
    for mark in (100.0, 200.0):
        network = Network()
        x = network.add_input("x", "float32", [1])
        network.mark_output(network.add_layer(Marked(mark=mark), [x], name="marked").output, "y")
        made.append(quick_build(network))
    yield made
    Marked.gate.set()
    for engine in made:
        engine.close()


def call(value: float) -> dict[str, Any]:
    return {"x": np.array([value], np.float32)}


def begun(count: int) -> list[float]:
    """The marks of the calls that have begun, once there are so many."""
    end = time.monotonic() + 20
    while len(Marked.begun) < count and time.monotonic() < end:
        time.sleep(1e-3)
    return list(Marked.begun)


def test_calls_go_to_the_engine_with_the_least_to_do(engines: list[Engine]) -> None:
    Marked.gate.clear()
    with ThroughputPool(engines, contexts=2) as pool:
        assert pool.contexts == 4
        futures = [pool.submit(call(0))]
        for count, marks in ((2, [100, 200]), (3, [100, 100, 200]), (4, [100, 100, 200, 200])):
            assert len(begun(count - 1)) == count - 1
            futures.append(pool.submit(call(0)))
            assert sorted(begun(count)) == marks
        futures += [pool.submit(call(k)) for k in (1, 2)]
        time.sleep(0.05)
        assert len(Marked.begun) == 4  # every context is busy
        Marked.gate.set()
        assert sorted(float(f.result(20)["y"][0]) for f in futures[:4]) == [100, 100, 200, 200]
        for k, future in enumerate(futures[4:], 1):
            assert future.result(20)["y"][0] in (100 + k, 200 + k)


def test_results_come_in_order_from_all_engines(engines: list[Engine]) -> None:
    with ThroughputPool(engines, contexts=3, queue_size=2) as pool:
        found = [float(result["y"][0]) for result in pool.map(call(k) for k in range(60))]
    assert [value % 100 for value in found] == list(range(60))
    assert {value // 100 for value in found} == {1, 2}


def test_an_idle_engine_takes_what_waits(engines: list[Engine]) -> None:
    """A call that lasts on one engine holds nothing up."""
    Marked.gate.clear()
    with ThroughputPool(engines, contexts=1, queue_size=30) as pool:
        first = pool.submit(call(0))
        begun(1)
        slow = Marked.begun[0]
        Marked.gate.set()
        futures = [pool.submit(call(k)) for k in range(30)]
        assert [float(f.result(20)["y"][0]) % 100 for f in futures] == list(range(30))
        assert float(first.result(20)["y"][0]) == slow


def test_callbacks_of_cancelled_calls_may_ask_the_pool(engines: list[Engine]) -> None:
    Marked.gate.clear()
    refused: list[PlugrtError] = []
    pool = ThroughputPool(engines[0], contexts=1, queue_size=2)
    running = pool.submit(call(1))
    waiting = [pool.submit(call(k)) for k in (2, 3)]

    def again(_: object) -> None:
        with pytest.raises(PlugrtError, match="pool is closed") as caught:
            pool.submit(call(4))
        refused.append(caught.value)

    waiting[0].add_done_callback(again)
    closer = threading.Thread(target=pool.close, kwargs={"cancel": True}, daemon=True)
    closer.start()
    end = time.monotonic() + 20
    while not refused and time.monotonic() < end:
        time.sleep(1e-3)
    assert refused
    Marked.gate.set()
    closer.join(20)
    assert running.result(20)["y"][0] == 101
    assert all(future.cancelled() for future in waiting)


def test_errors_name_the_device(engines: list[Engine]) -> None:
    with ThroughputPool(engines, contexts=1) as pool:
        with pytest.raises(DeviceError, match="on device 'cpu': layer 'marked' failed"):
            pool.submit(call(-1)).result(20)
        with pytest.raises(DeviceError, match="on device 'cpu': layer 'marked' failed"):
            list(pool.map([call(-1)]))
        with pytest.raises(PlugrtError, match=r"^input 'x' is missing"):
            pool.submit({}).result(20)
        assert pool.submit(call(1)).result(20)["y"][0] in (101, 201)  # they are usable still
    with ThroughputPool(engines[0]) as pool, pytest.raises(DeviceError, match=r"^layer 'marked'"):
        pool.submit(call(-1)).result(20)


def broken(contexts: Sequence[ExecutionContext], monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on these contexts say that their device has failed for good."""
    kinds = {id(context) for context in contexts}
    monkeypatch.setattr(
        ExecutionContext, "is_usable", property(lambda self: id(self) not in kinds)
    )


def test_a_device_that_has_failed_gets_no_more_calls(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThroughputPool(engines, contexts=2) as pool:
        contexts = [member.context for member in pool._members]
        broken(contexts[:2], monkeypatch)
        Marked.begun.clear()
        while Marked.begun.count(100.0) < 2:  # each context of the first engine fails once
            with pytest.raises(DeviceError):
                pool.submit(call(-1)).result(20)
        for k in range(20):
            assert pool.submit(call(k)).result(20)["y"][0] == 200 + k
        broken(contexts, monkeypatch)
        for future in [pool.submit(call(-1)) for _ in range(2)]:
            with pytest.raises(DeviceError, match="below zero"):
                future.result(20)
        time.sleep(0.05)  # a worker asks after the error was raised
        with pytest.raises(DeviceError, match="no device of the throughput pool can be used"):
            pool.submit(call(1))


def test_what_waits_for_a_device_that_has_failed_is_told(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    Marked.gate.clear()
    with ThroughputPool(engines[:1], contexts=1, queue_size=4) as pool:
        broken([member.context for member in pool._members], monkeypatch)
        futures = [pool.submit(call(value)) for value in (1, -1, 2, 3)]
        begun(1)
        Marked.gate.set()
        assert futures[0].result(20)["y"] == [101]
        for future, message in zip(futures[1:], ("below", "no device", "no device"), strict=True):
            with pytest.raises(DeviceError, match=message):
                future.result(20)


def test_a_pool_that_loads_its_engines(tmp_path: Path, quick_build: Build) -> None:
    network = Network()
    x = network.add_input("x", "float32", ["N", 4])
    network.mark_output(network.add_relu(x).output, "y")
    values = np.array([[1, -1, 2, -2]], np.float32)
    with quick_build(network) as engine:
        engine.save(tmp_path / "relu.plan")
    for plan in (tmp_path / "relu.plan", (tmp_path / "relu.plan").read_bytes()):
        with ThroughputPool.load(plan, ["cpu", "cpu"], contexts=1) as pool:
            assert pool.contexts == 2
            for result in pool.map([{"x": values}] * 8):
                np.testing.assert_array_equal(result["y"], np.maximum(values, 0))
            owned = list(pool._owned)
        assert [engine.closed for engine in owned] == [True, True]
    with pytest.raises(PlugrtError, match="device 'gpu' is not installed"):
        ThroughputPool.load(tmp_path / "relu.plan", ["cpu", "gpu"])


def test_a_pool_whose_threads_do_not_start_leaves_nothing(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExecutionContext] = []
    create = Engine.create_context

    def noted(self: Engine, *arguments: Any, **options: Any) -> ExecutionContext:
        made.append(create(self, *arguments, **options))
        return made[-1]

    start, left = threading.Thread.start, [2]

    def fail(thread: threading.Thread) -> None:
        if thread.name.startswith("plugrt pool"):
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
        start(thread)

    before = threading.active_count()
    monkeypatch.setattr(Engine, "create_context", noted)
    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ThroughputPool(engines, contexts=2)
    assert left == [0]
    assert threading.active_count() == before
    for context in made:
        with pytest.raises(PlugrtError, match="closed"):
            context.execute(call(1))
    assert len(made) == 4


@pytest.mark.parametrize("started", [1, 2])
def test_an_interrupt_while_a_thread_starts_leaves_nothing(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    """Not even the thread that had started, which the pool knows nothing of yet."""
    start, threads = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        threads.append(thread)
        if len(threads) == started:
            raise KeyboardInterrupt

    monkeypatch.setattr(ExecutionContext, "calls_at_once", 2)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ThroughputPool(engines, contexts=1)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(threads) == started


def test_one_that_fails_to_close_does_not_keep_the_others_open(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ThroughputPool(engines, contexts=2)
    contexts = [member.context for member in pool._members]
    monkeypatch.setattr(contexts[1], "close", _fail)
    with pytest.raises(DeviceError, match="does not close"):
        pool.close()
    for context in (*contexts[:1], *contexts[2:]):
        with pytest.raises(PlugrtError, match="closed"):
            context.execute(call(1))


def _fail() -> None:
    raise DeviceError("it does not close")


def test_pools_of_nothing(engines: list[Engine]) -> None:
    with pytest.raises(PlugrtError, match="needs an engine"):
        ThroughputPool([])
    engines[1].close()
    before = threading.active_count()
    with pytest.raises(PlugrtError, match="the engine is closed"):
        ThroughputPool(engines, contexts=1)
    assert threading.active_count() == before
    assert plugrt.ThroughputPool is ThroughputPool
