"""Ctrl-C while a GPU computes, and failures of kernels beside other calls."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DeviceError, Network
from plugrt.core.devices.cuda import turns
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.events import Event
from plugrt.core.devices.cuda.memory import DeviceBuffer, DeviceMemoryError
from plugrt.plugins.native.cuda import Context

pytestmark = pytest.mark.cuda


def pooled() -> Network:
    network = Network("pooled")
    x = network.add_input("x", "float32", ["N", 16, 32, 32])
    network.mark_output(network.add_max_pooling(x, kernel=(2, 2), strides=(2, 2)).output, "y")
    return network


def image(rows: int, start: float = 0) -> Any:
    return np.random.default_rng(rows).random((rows, 16, 32, 32), np.float32) + np.float32(start)


def wanted(x: Any) -> Any:
    return x.reshape(len(x), 16, 16, 2, 16, 2).max((3, 5))


@pytest.mark.parametrize("rows", [1, 64])
@pytest.mark.parametrize("synchronised", [1, 2])
def test_a_context_works_after_an_interrupt(
    rows: int, synchronised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once while waiting for the results, and once more while waiting after that."""
    config = BuilderConfig(device="cuda", tune="off", threads=1)
    with plugrt.build(pooled(), config) as engine, engine.create_context() as context:
        context.execute({"x": image(rows)})
        left = [synchronised]
        plain = Event.synchronize

        def interrupted(event: Event) -> None:
            if left[0]:
                left[0] -= 1
                raise KeyboardInterrupt
            plain(event)

        with monkeypatch.context() as patch:
            patch.setattr(Event, "synchronize", interrupted)
            patch.setattr(Event, "is_reached", lambda event: False)
            with pytest.raises(KeyboardInterrupt):
                context.execute({"x": image(rows)})
        errors: list[str] = []

        def use(start: int) -> None:
            for k in range(turns.DEPTH + 1):
                x = image(rows, start + k)
                if not np.array_equal(context.execute({"x": x})["y"], wanted(x)):
                    errors.append(f"{start} {k}")

        threads = [threading.Thread(target=use, args=(n,), daemon=True) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert errors == []
        assert isinstance(context, CudaContext)
        assert not any(turn.holder for turn in context._turns._turns)


def test_a_request_beyond_all_memory_leaves_others_alone() -> None:
    """Whoever allocates meanwhile gets its memory."""
    gpu = Context.of(0)
    DeviceBuffer(gpu, 1 << 20)
    failed: list[str] = []
    is_done = threading.Event()

    def allocate() -> None:
        while not is_done.is_set():
            try:
                DeviceBuffer(gpu, 64 << 20)
            except DeviceError as error:
                failed.append(str(error))

    thread = threading.Thread(target=allocate)
    thread.start()
    try:
        for _ in range(50):
            with pytest.raises(DeviceMemoryError, match="4,398,046,511,104 bytes"):
                DeviceBuffer(gpu, 1 << 42)
    finally:
        is_done.set()
        thread.join()
    assert failed == []
