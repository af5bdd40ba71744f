"""The GPU's stopwatch: few runs first, and what lies in the cache."""

from __future__ import annotations

import pytest

from plugrt.core.devices.cuda import CudaRecording, CudaSlots, DeviceWeights
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.devices.cuda.stream import CudaStream
from plugrt.core.devices.cuda.timing import FIRST_GRAPH, Stopwatch
from plugrt.plugins.native.cuda import Context
from plugrt.plugins.native.cuda.driver_calls import call

pytestmark = [pytest.mark.cuda, pytest.mark.slow]  # times: with nothing else on the GPU


def copying(nbytes: int) -> tuple[CudaRecording, DeviceBuffer]:
    """A recording that copies so many bytes, and where it reads them."""
    context = Context.of(0)
    source, target = DeviceBuffer(context, nbytes), DeviceBuffer(context, nbytes)
    source.fill(1)

    def record(stream: CudaStream) -> None:
        call("cuMemcpyDtoDAsync", target.address, source.address, nbytes, stream.handle)
        stream.keep((source, target))

    return CudaRecording(context, CudaSlots(DeviceWeights(context)), record), source


def test_the_first_sample_is_of_few_runs() -> None:
    recording, _ = copying(1 << 20)
    watch = Stopwatch(recording, gradual=True)
    assert watch.repeats == FIRST_GRAPH
    first = watch()
    assert watch.repeats == FIRST_GRAPH
    second = watch()
    assert watch.repeats > FIRST_GRAPH
    assert second < first * 1.5
    assert first < second * 3 + 3e-6


def test_what_is_near_is_read_from_the_cache() -> None:
    size = Context.of(0).properties.l2_bytes // 8
    recording, source = copying(size)
    far = Stopwatch(recording, cold=True)(9)
    near = Stopwatch(recording, cold=True, near=[(source.address, size)])(9)
    warm = Stopwatch(recording)(9)
    assert warm < near * 1.2
    assert near < far
