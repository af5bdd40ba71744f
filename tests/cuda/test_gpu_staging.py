"""Copies between host and GPU beside the computation, and several GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt.core.devices.cuda.endpoints import LARGE
from plugrt.core.devices.cuda.events import DeviceStream, Event
from plugrt.core.devices.cuda.host_copies import MOST_CHUNK
from plugrt.core.devices.cuda.memory import DeviceBuffer, DeviceMemory, pinned_array
from plugrt.core.devices.cuda.pinned import is_pinned
from plugrt.core.devices.cuda.staging import Download, upload
from plugrt.core.devices.cuda.standalone import prepare_on_gpu
from plugrt.plugins.native.cuda import Context, device_count
from plugrt.plugins.native.cuda.driver_calls import call

from .sample_layers import Scale

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("nbytes", [LARGE, MOST_CHUNK + 1, 19 * MOST_CHUNK])
def test_chunks_arrive_in_both_directions(nbytes: int) -> None:
    context = Context.of(0)
    stream, back = DeviceStream(context), DeviceStream(context)
    buffer = DeviceBuffer(context, nbytes)
    staged, returned = (pinned_array(context, nbytes) for _ in range(2))
    download, arrived = Download(context, returned), Event(context)
    for seed in range(5):
        source = np.random.default_rng(seed).integers(0, 256, nbytes).astype(np.uint8)
        wanted = source.copy()
        with context.current():
            upload(source, staged, buffer.address, stream)
        source[:] = 0
        with context.current():
            arrived.record(stream)
            back.wait_for(arrived)
            download.begin(buffer.address, back)
        found = np.empty_like(source)
        download.finish(found)
        np.testing.assert_array_equal(found, wanted)


def test_who_pinned_an_array_does_not_matter() -> None:
    ours = plugrt.pinned_empty((3, 5), "float16")
    assert (ours.shape, ours.dtype, ours.flags.carray) == ((3, 5), np.float16, True)
    assert is_pinned(ours)
    assert is_pinned(ours[1:])
    assert not is_pinned(np.zeros(5))
    torch: Any = pytest.importorskip("torch")
    assert is_pinned(torch.zeros(1000).pin_memory().numpy())


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
