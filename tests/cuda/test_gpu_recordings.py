"""Recordings: addresses, graphs, host callbacks between them, times."""

from __future__ import annotations

from math import inf
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda import CudaRecording, CudaSlots, CudaStream, DeviceWeights
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.memory import DeviceBuffer, pinned_array
from plugrt.core.devices.cuda.timing import Stopwatch
from plugrt.core.runtime.record_layer import record_layer
from plugrt.plugins import DataType, DeviceError, LayerPlugin, TensorDesc, TensorView
from plugrt.plugins.native.cuda import Context

from .sample_layers import HostIncrement, Scale

pytestmark = pytest.mark.cuda

COUNT = 1000
DESC = TensorDesc(DataType.FLOAT32, (COUNT,))


class Chain:
    """Layers one after the other, with reserved slots for input and output."""

    def __init__(self, *layers: LayerPlugin) -> None:
        self.context = Context.of(0)
        self.slots = CudaSlots(DeviceWeights(self.context))
        self.calls = 0
        ends = [self.slots.reserve(), self.slots.reserve()]
        between = [DeviceBuffer(self.context, DESC.nbytes) for _ in layers[1:]]
        views = [TensorView(DESC, ends[0])]
        views += [TensorView(DESC, self.slots.bind(buffer)) for buffer in between]
        views.append(TensorView(DESC, ends[1]))

        def record(stream: CudaStream) -> None:
            self.calls += 1
            for index, layer in enumerate(layers):
                stream.begin_layer(f"layer{index}")
                record_layer(stream, layer, [views[index]], [views[index + 1]], None)

        self.recording = CudaRecording(self.context, self.slots, record, maximum_instances=2)

    def __call__(self, source: DeviceBuffer, target: DeviceBuffer) -> Any:
        target.fill(0xFF)
        self.recording.replay([source.address, target.address])
        self.recording.synchronize()
        return target.read().view(np.float32)


def numbers(context: Context, start: int = 0) -> tuple[Any, DeviceBuffer]:
    values = np.arange(start, start + COUNT, dtype=np.float32)
    return values, DeviceBuffer.of(context, values)


def test_replays_read_the_buffer_anew() -> None:
    chain = Chain(Scale(), Scale(factor=3.0))
    values, source = numbers(chain.context)
    target = DeviceBuffer(chain.context, DESC.nbytes)
    np.testing.assert_array_equal(chain(source, target), 6 * values)
    source.write(values + 1)
    np.testing.assert_array_equal(chain(source, target), 6 * (values + 1))
    assert chain.calls == 1


def test_kernels_of_layers_without_callbacks_are_one_graph() -> None:
    chain = Chain(*[Scale(factor=1.0)] * 7)
    values, source = numbers(chain.context)
    np.testing.assert_array_equal(chain(source, DeviceBuffer(chain.context, DESC.nbytes)), values)
    (graph,) = chain.recording.instance().steps
    assert isinstance(graph, Graph)
    assert graph.nodes == 7


def test_each_set_of_addresses_is_recorded_once_until_it_is_pushed_out() -> None:
    chain = Chain(Scale())
    sources = [numbers(chain.context, start) for start in (0, 50, 90)]
    target = DeviceBuffer(chain.context, DESC.nbytes)
    for pick, calls in ((0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)):
        values, source = sources[pick]
        np.testing.assert_array_equal(chain(source, target), 2 * values)
        assert chain.calls == calls


def test_host_callbacks_stand_between_graphs() -> None:
    chain = Chain(Scale(), HostIncrement(), Scale(), HostIncrement(), HostIncrement())
    values, source = numbers(chain.context)
    target = DeviceBuffer(chain.context, DESC.nbytes)
    for _ in range(2):
        np.testing.assert_array_equal(chain(source, target), (values * 2 + 1) * 2 + 2)
    kinds = [type(step).__name__ for step in chain.recording.instance().steps]
    assert kinds == ["Graph", "HostStep", "Graph", "HostStep", "HostStep"]


def test_an_error_in_a_callback_names_the_layer() -> None:
    class Failing(HostIncrement):
        type = "Test.FailingHost"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            raise ValueError("broken")

    chain = Chain(Scale(), Failing())
    _, source = numbers(chain.context)
    with pytest.raises(DeviceError, match=r"layer 'layer1' failed: ValueError: broken"):
        chain(source, DeviceBuffer(chain.context, DESC.nbytes))


def test_times_per_layer() -> None:
    chain = Chain(Scale(), HostIncrement(), Scale())
    _, source = numbers(chain.context)
    chain(source, DeviceBuffer(chain.context, DESC.nbytes))
    times = chain.recording.replay_timed()
    assert [layer for layer, _ in times] == [0, 1, 2]
    assert all(0 < seconds < 0.1 for _, seconds in times)
    assert times[1][1] > times[0][1]


def test_a_stopwatch_repeats_short_recordings_in_one_graph() -> None:
    chain = Chain(Scale())
    _, source = numbers(chain.context)
    chain(source, DeviceBuffer(chain.context, DESC.nbytes))
    watch = Stopwatch(chain.recording)
    assert watch.repeats > 8
    assert 1e-7 < watch(5) < 5e-5


def test_a_replay_costs_the_host_little() -> None:
    chain = Chain(*[Scale(factor=1.0)] * 20)
    _, source = numbers(chain.context)
    target = DeviceBuffer(chain.context, DESC.nbytes)
    chain(source, target)
    best = inf
    for _ in range(20):
        start = perf_counter()
        for _ in range(20):
            chain.recording.replay([source.address, target.address])
        best = min(best, (perf_counter() - start) / 20)
        chain.recording.synchronize()
    print(f"one replay: {best * 1e6:.1f} us on the host")
    assert best < 20e-6


def test_pinned_memory_lives_as_long_as_its_arrays() -> None:
    context = Context.of(0)
    part = pinned_array(context, 1000)[100:200]
    part[:] = 7
    assert DeviceBuffer.of(context, part).read().tolist() == [7] * 100


def test_a_layer_that_waits_is_told_so() -> None:
    class Waiting(Scale):
        type = "Test.Waiting"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            from cuda.bindings import driver

            super().enqueue(inputs, outputs, workspace, stream)
            driver.cuStreamSynchronize(driver.CUstream(stream.handle))

    chain = Chain(Waiting())
    _, source = numbers(chain.context)
    with pytest.raises(DeviceError, match="CAPTURE_INVALIDATED"):
        chain(source, DeviceBuffer(chain.context, DESC.nbytes))
    fine = Chain(Scale())
    values, source = numbers(fine.context)
    target = DeviceBuffer(fine.context, DESC.nbytes)
    np.testing.assert_array_equal(fine(source, target), 2 * values)
