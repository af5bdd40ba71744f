"""Engines and contexts of a GPU in several threads, with a driver that is played."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, PlugrtError
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.events import DeviceStream, Event
from plugrt.core.devices.cuda.memory import DeviceMemory
from plugrt.plugins.native.cuda import Context

from .fake_driver import FakeDriver
from .test_engine_without_gpu import Python, Through, built, chain, numbers


def together(count: int, work: Callable[[int], None]) -> None:
    """Run `work` in so many threads that begin at once. Raises the first error."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(20)
            work(number)
        except BaseException as error:  # it is told by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def test_threads_load_one_plan_and_use_one_context(driver: FakeDriver) -> None:
    gpu = Context.of(0)  # held, as the played driver does not count who has it
    DeviceMemory.of(gpu)
    DeviceStream.service(gpu)
    before = set(driver.living)
    with built(Through(), Python()) as engine:
        plan = engine.to_bytes()
    registry = chain(Through(), Python()).registry
    del engine

    def load(number: int) -> None:
        with Engine.from_bytes(plan, registry) as engine, engine.create_context() as context:
            for k in range(3):
                x = numbers(2 + k, number)
                np.testing.assert_array_equal(context.execute({"x": x})["y"], x + 1)

    for _ in range(3):
        together(6, load)
        gc.collect()
        assert driver.living == before
    with Engine.from_bytes(plan, registry) as engine, engine.create_context() as context:

        def share(number: int) -> None:
            for k in range(5):
                x = numbers(2 + k % 2, 10 * number + k)
                np.testing.assert_array_equal(context.execute({"x": x})["y"], x + 1)

        together(6, share)


def test_closing_waits_for_calls_under_way(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they use is there until they have ended, also where the engine is closed too."""
    reached, may_end = threading.Event(), threading.Event()
    plain = Event.synchronize

    def slowly(event: Event) -> None:
        if threading.current_thread() is caller:
            reached.set()
            assert may_end.wait(20)
        plain(event)

    found: list[Any] = []
    with built(Through()) as engine:
        context = engine.create_context()
        assert isinstance(context, CudaContext)
        context.execute({"x": numbers()})
        caller = threading.Thread(
            target=lambda: found.append(context.execute({"x": numbers(start=3)})["y"]), daemon=True
        )
        monkeypatch.setattr(Event, "synchronize", slowly)
        caller.start()
        assert reached.wait(20)
        closer = threading.Thread(target=context.close, daemon=True)
        closer.start()
        closer.join(0.2)
        assert closer.is_alive()
        may_end.set()
        for thread in (closer, caller):
            thread.join(20)
            assert not thread.is_alive()
        np.testing.assert_array_equal(found[0], numbers(start=3))
        with pytest.raises(PlugrtError, match="closed"):
            context.execute({"x": numbers()})


def test_the_first_use_of_a_gpu_may_collect_garbage(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector runs the finalisers of sessions in whatever thread is at work, locks and all."""
    plain = driver.cuMemPoolCreate

    def collecting(properties: Any) -> Any:
        engine = built(Through())
        engine.knot = engine  # type: ignore[attr-defined]
        DeviceStream.service(Context.of(0))
        engine.close()
        del engine
        gc.collect()
        return plain(properties)

    monkeypatch.setattr(driver, "cuMemPoolCreate", collecting)
    done: list[int] = []

    def first() -> None:
        context = Context.of(0)
        DeviceMemory.of(context)
        done.append(1)

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    thread.join(20)
    assert done == [1]
