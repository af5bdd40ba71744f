"""Ctrl-C at every call of the driver: nobody's turn is lost, and the context goes on."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import PlugrtError
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.endpoints import LARGE
from plugrt.core.devices.cuda.turns import DEPTH

from .fake_driver import FakeDriver
from .test_engine_without_gpu import Python, Through, built, numbers, on_gpu

LAUNCH_FAILED = 719


def in_finaliser() -> bool:
    """Whether a finaliser calls, in which Python ignores exceptions."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != weakref.__file__:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


class Interrupting(FakeDriver):
    """Raises KeyboardInterrupt in place of, or behind, one of its functions, or lets it fail."""

    steps = 0
    """Until then; 0 is never."""
    behind = fails = False
    thread = 0
    last = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not (name.startswith("cu") and name[2].isupper()):
            return found

        def stepping(*arguments: Any) -> Any:
            if not self.steps or threading.get_ident() != self.thread or in_finaliser():
                return found(*arguments)
            self.steps -= 1
            if self.steps:
                return found(*arguments)
            self.last = name
            if self.fails:
                has_result = name in ("cuStreamEndCapture", "cuCtxPopCurrent")
                return (LAUNCH_FAILED, *[None] * has_result)
            if self.behind:
                found(*arguments)
            raise KeyboardInterrupt(name)

        return stepping

    def interrupt(self, steps: int) -> None:
        """Interrupt this thread's call of that number from now on."""
        self.thread, self.steps = threading.get_ident(), steps


@pytest.fixture
def quick_collections() -> Iterator[None]:
    """What exists is no garbage, and need not be looked at hundreds of times."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def interrupting(driver: FakeDriver) -> Interrupting:
    driver.__class__ = Interrupting
    return driver  # type: ignore[return-value]


def works(context: Any) -> None:
    """More calls than there are turns, from a thread that is not waited for for ever."""
    found: list[Any] = []

    def use() -> None:
        for start in range(DEPTH + 2):
            found.append(context.execute({"x": numbers(start=start)})["y"] - numbers(start=start))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "a turn was never given back"
    for one in found:
        np.testing.assert_array_equal(one, found[0])
    assert len(found) == DEPTH + 2


def small() -> tuple[Any, Any]:
    return {"x": numbers()}, None


def pinned() -> tuple[Any, Any]:
    shape = (LARGE // 32, 8)
    source, target = plugrt.pinned_empty(shape), plugrt.pinned_empty(shape)
    source[...] = 1
    return {"x": source}, {"y": target}


def result_on_gpu() -> tuple[Any, Any]:
    return {"x": numbers()}, "device"


def in_place() -> tuple[Any, Any]:
    return {"x": on_gpu(numbers())[0]}, {"y": on_gpu(numbers())[0]}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("arrays", [small, pinned, result_on_gpu, in_place])
def test_a_context_works_after_an_interrupt_anywhere(
    interrupting: Interrupting, arrays: Callable[[], tuple[Any, Any]], behind: bool
) -> None:
    interrupting.behind = behind
    seen = set()
    with built(Through(), Python()) as engine:
        for is_first in (True, False):  # a call that records, and one that does not
            for step in itertools.count(1):
                with engine.create_context() as context:
                    assert isinstance(context, CudaContext)
                    inputs, outputs = arrays()
                    if not is_first:
                        context.execute(inputs, outputs)
                    interrupting.interrupt(step)
                    try:
                        context.execute(inputs, outputs)
                        interrupted = bool(not interrupting.steps)
                    except KeyboardInterrupt:
                        interrupted = True
                        seen.add(interrupting.last)
                    interrupting.steps = 0
                    assert not any(turn.holder for turn in context._turns._turns)
                    assert interrupting.captures == {}
                    works(context)
                if not interrupted:
                    break
    assert {"cuStreamBeginCapture", "cuGraphLaunch", "cuStreamSynchronize"} <= seen
    assert len(seen) > 12


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_lost_where_the_driver_did_nothing(
    interrupting: Interrupting, quick_collections: None, fails: bool
) -> None:
    def use(step: int) -> bool:
        with built(Through(), Python()) as engine:
            interrupting.interrupt(step)
            try:
                with engine.create_context() as context:
                    context.execute({"x": numbers()})
                    return not interrupting.steps
            except (KeyboardInterrupt, PlugrtError):
                return True
            finally:
                interrupting.steps = 0

    interrupting.fails = fails
    seen = set()
    lost: set[tuple[str, int]] = set()
    for step in itertools.count(1):
        if not use(step):
            break
        gc.collect()
        seen.add(interrupting.last)
        # What is to be given back is, unless just that fails; contexts change behind what is made.
        if not interrupting.last.startswith("cuCtx") and "Destroy" not in interrupting.last:
            assert interrupting.living <= lost, f"after {interrupting.last}, step {step}"
        lost = set(interrupting.living)
        interrupting.contexts.clear()
    assert {"cuGraphInstantiate", "cuEventCreate", "cuMemAllocFromPoolAsync"} <= seen


def test_an_interrupt_between_beginning_and_ending_gives_the_turn_back(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)

        def finish(call: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(context, "_finish", finish)
            for _ in range(DEPTH + 1):
                with pytest.raises(KeyboardInterrupt):
                    context.execute({"x": numbers()})
        works(context)


def test_an_interrupt_while_waiting_for_a_turn(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)
        begun = [context._begin({"x": numbers(start=k)}, None) for k in range(DEPTH)]

        def wait() -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(context._turns._left, "wait", wait)
            with pytest.raises(KeyboardInterrupt):
                context.execute({"x": numbers()})
        for start, call in enumerate(begun):  # whose turns are still theirs
            np.testing.assert_array_equal(context._finish(call)["y"], numbers(start=start))
        works(context)
