"""What a context on a GPU leaves behind when something fails, and what lives until it is used no
more, judged with a driver that keeps accounts."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError
from plugrt.core.devices.cuda.call_queue import CallQueue
from plugrt.core.devices.cuda.endpoints import MOST_SPARE
from plugrt.core.devices.cuda.memory import DeviceMemory
from plugrt.core.devices.cuda.turns import DEPTH, Turns
from plugrt.plugins.native.cuda import Context

from .fake_driver import FakeDriver
from .test_engine_without_gpu import Through, built, numbers


def test_an_arena_that_cannot_grow_leaves_other_shapes_usable(driver: FakeDriver) -> None:
    with built(Through(), Through()) as engine, engine.create_context() as context:
        wanted = numbers(2)
        np.testing.assert_array_equal(context.execute({"x": wanted})["y"], wanted)
        driver.capacity = driver.held("memory") + 1000
        with pytest.raises(DeviceError, match="for the activations of float32"):
            context.execute({"x": numbers(5000)})
        np.testing.assert_array_equal(context.execute({"x": wanted})["y"], wanted)
        driver.capacity = 1 << 30
        np.testing.assert_array_equal(context.execute({"x": numbers(5000)})["y"], numbers(5000))
        np.testing.assert_array_equal(context.execute({"x": wanted})["y"], wanted)


class Gone:
    """A mark that is never reached."""

    def is_reached(self) -> bool:
        return False

    def synchronize(self) -> None:
        raise DeviceError("the GPU is gone")


def test_a_turn_whose_call_failed_is_not_kept(driver: FakeDriver) -> None:
    turns = Turns(Context.of(0))
    taken: list[Any] = [turns.take(number) for number in range(DEPTH)]
    for number, turn in enumerate(taken):
        turn.is_pending, turn.done = True, Gone()
        turns.leave(number)
    for _ in range(DEPTH + 1):
        with pytest.raises(DeviceError, match="the GPU is gone"):
            turns.take("another")
    assert not any(turn.holder for turn in taken)
    with pytest.raises(DeviceError, match="the GPU is gone"):
        turns.wait_for_others()


def test_a_turn_goes_back_once_whoever_leaves_twice(driver: FakeDriver) -> None:
    turns = Turns(Context.of(0))
    first = turns.take("a")
    turns.leave("a")
    assert turns.take("b") is first
    turns.leave("a")
    assert turns.has("b")
    assert not turns.is_alone(turns.take("c"))
    turns.leave("c")
    assert turns.is_alone(first)


def test_a_turn_broken_off_twice_makes_the_next_call_wait(driver: FakeDriver) -> None:
    turns = Turns(Context.of(0))
    turn = turns.take("a")
    waited: list[int] = []

    def settle() -> None:
        waited.append(len(waited))
        if len(waited) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turns.break_off("a", settle)
    assert not turn.is_idle()
    others = [turns.take(number) for number in range(DEPTH)]
    assert turn in others
    assert waited == [0, 1]


def test_what_was_begun_is_ended_while_the_interpreter_ends() -> None:
    """Then executors take no more work; a call that nobody ends would keep its buffers."""
    queue = CallQueue()
    queue._finisher.shutdown()
    ended = []

    def finish(number: int) -> dict[str, int]:
        ended.append(number)
        return {"y": number}

    future = queue.put(lambda: 7, finish)
    assert future.result(20) == {"y": 7}
    assert ended == [7]
    queue.close()


def test_results_are_given_back_behind_what_uses_them(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    plain = driver.cuStreamWaitEvent

    def wait(stream: int, event: int, flags: int) -> tuple[int]:
        waited.append(int(event))
        return plain(stream, event, flags)

    monkeypatch.setattr(driver, "cuStreamWaitEvent", wait)
    with built(Through()) as engine, engine.create_context() as context:
        kept = [
            context.execute({"x": numbers(start=k)}, "device")["y"]
            for k in range(MOST_SPARE + 1)
        ]
        ready = [int(result._ready.cuda) for result in kept]
        waited.clear()
        freed = driver.order.count("destroy memory")
        kept.clear()
        gc.collect()
        assert driver.order.count("destroy memory") == freed + 1
        assert len(set(waited) & set(ready)) == 1  # the one that is not kept for later


def test_a_stopwatch_keeps_what_it_runs_on(driver: FakeDriver) -> None:
    gpu = Context.of(0)
    pool = DeviceMemory.of(gpu)
    with built(Through(), Through()) as engine:
        watch = engine.stopwatch({"N": 100}, lambda desc: numbers(100))
        assert watch is not None
        gc.collect()
        held = pool.allocated_bytes
        assert held >= 3 * numbers(100).nbytes  # input, output and what is between
        del watch
        gc.collect()
        assert pool.allocated_bytes <= held - 3 * numbers(100).nbytes
