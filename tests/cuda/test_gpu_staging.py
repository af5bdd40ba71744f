"""Copies between host and GPU beside the computation, and several GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda.events import DeviceStream
from plugrt.core.devices.cuda.memory import DeviceBuffer, DeviceMemory
from plugrt.core.devices.cuda.staging import InputRing, OutputRing
from plugrt.core.devices.cuda.standalone import prepare_on_gpu
from plugrt.plugins import DeviceError
from plugrt.plugins.native.cuda import Context, device_count
from plugrt.plugins.native.cuda.driver_calls import call

from .sample_layers import SCALE, Scale

pytestmark = pytest.mark.cuda

COUNT = 1 << 20


def parameters(source: int, target: int, factor: float) -> list[bytes]:
    whole = [np.uint64(source), np.uint64(target), np.int64(COUNT), np.float32(factor)]
    return [value.tobytes() for value in whole]


def test_rings_carry_every_array_in_order() -> None:
    context = Context.of(0)
    stream = DeviceStream(context)
    inputs, outputs = InputRing(context, 4 * COUNT), OutputRing(context, 4 * COUNT)
    waiting: list[Any] = []
    found = []
    for number in range(9):
        source = inputs.put(np.full(COUNT, number, np.float32), stream)
        target = outputs.target(stream)
        with context.current():
            for factor in (2.0, 1.0, 1.0):
                SCALE.launch(
                    context, stream.handle, [COUNT // 256], [256],
                    parameters(source if factor == 2.0 else target, target, factor),
                )  # fmt: skip
        inputs.release(stream)
        waiting.append(outputs.fetch(stream, 4 * COUNT))
        if len(waiting) == 2:
            found.append(waiting.pop(0).result().view(np.float32).copy())
    found.append(waiting.pop().result().view(np.float32).copy())
    inputs.close()
    outputs.close()
    for number, array in enumerate(found):
        np.testing.assert_array_equal(array, np.full(COUNT, 2 * number, np.float32))


def test_what_does_not_fit_is_refused() -> None:
    context = Context.of(0)
    ring = InputRing(context, 16)
    with pytest.raises(DeviceError, match="cannot stage 20 bytes in 16"):
        ring.put(np.zeros(5, np.float32), DeviceStream(context))


def test_memory_is_counted_and_given_back() -> None:
    context = Context.of(0)
    pool = DeviceMemory.of(context)
    before = pool.allocated_bytes
    buffer = DeviceBuffer(context, 64 << 20)
    assert pool.allocated_bytes == before + (64 << 20)
    del buffer
    assert pool.allocated_bytes == before
    stream = DeviceStream.service(context)
    stream.synchronize()
    with context.current():
        full, _ = call("cuMemGetInfo")
        pool.trim(context)
        trimmed, _ = call("cuMemGetInfo")
    assert trimmed >= full


@pytest.mark.parametrize("ordinal", range(max(device_count(), 1)))
def test_every_gpu_computes(ordinal: int) -> None:
    x = np.arange(1000, dtype=np.float32)
    with prepare_on_gpu(Scale(), [x], ordinal=ordinal) as prepared:
        prepared.replay()
        np.testing.assert_array_equal(prepared.results()[0], 2 * x)
        assert prepared.recording.context.ordinal == ordinal


@pytest.mark.skipif(device_count() < 2, reason="needs two GPUs")
def test_two_gpus_hold_recordings_of_one_layer_at_once() -> None:
    x = np.arange(1000, dtype=np.float32)
    with prepare_on_gpu(Scale(), [x]) as first, prepare_on_gpu(Scale(), [x], ordinal=1) as second:
        for _ in range(3):
            for prepared in (second, first):
                prepared.replay()
                np.testing.assert_array_equal(prepared.results()[0], 2 * x)
