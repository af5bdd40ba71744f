"""The logic of recordings and who outlives whom, with a driver that keeps accounts."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda import CudaRecording, CudaSlots, CudaStream, DeviceWeights
from plugrt.core.devices.cuda.memory import DeviceBuffer, pinned_array, read_int64
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.core.runtime.record_layer import record_layer
from plugrt.plugins import DataType, DeviceError, LayerPlugin, TensorDesc, TensorView
from plugrt.plugins.native.cuda import Context
from plugrt.plugins.native.cuda.driver_calls import call

from .fake_driver import FakeDriver
from .sample_layers import HostIncrement, Scale

COUNT = 10
DESC = TensorDesc(DataType.FLOAT32, (COUNT,))


class Copy(Scale):
    """x, by a copy on the stream."""

    type = "Test.CopyOnStream"

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)


class Chain:
    """Layers one after the other, with reserved slots for input and output; a cycle of
    references, as an engine's contexts are."""

    def __init__(self, *layers: LayerPlugin) -> None:
        self.context = Context.of(0)
        self.slots = CudaSlots(DeviceWeights(self.context))
        self.calls = 0
        ends = [self.slots.reserve(), self.slots.reserve()]
        between = [DeviceBuffer(self.context, DESC.nbytes) for _ in layers[1:]]
        self.views = [TensorView(DESC, ends[0])]
        self.views += [TensorView(DESC, self.slots.bind(buffer)) for buffer in between]
        self.views.append(TensorView(DESC, ends[1]))
        self.layers = layers
        self.recording = CudaRecording(self.context, self.slots, self.record, maximum_instances=2)

    def record(self, stream: CudaStream) -> None:
        self.calls += 1
        for index, layer in enumerate(self.layers):
            stream.begin_layer(f"layer{index}")
            record_layer(stream, layer, [self.views[index]], [self.views[index + 1]], None)

    def __call__(self, source: DeviceBuffer, target: DeviceBuffer) -> Any:
        self.recording.replay([source.address, target.address])
        self.recording.synchronize()
        return target.read().view(np.float32)


def numbers(start: int = 0) -> tuple[Any, DeviceBuffer]:
    values = np.arange(start, start + COUNT, dtype=np.float32)
    return values, DeviceBuffer.of(Context.of(0), values)


def run_a_chain() -> None:
    chain = Chain(Copy(), HostIncrement(), Copy())
    for start in (0, 5, 9, 0):
        values, source = numbers(start)
        target = DeviceBuffer(chain.context, DESC.nbytes)
        np.testing.assert_array_equal(chain(source, target), values + 1)
    chain.recording.replay_timed()


def test_everything_is_given_back_in_an_order_that_works(driver: FakeDriver) -> None:
    for _ in range(3):
        run_a_chain()
        gc.collect()
        assert driver.living == set()
        assert driver.contexts == []


def test_memory_goes_after_the_work_that_uses_it(driver: FakeDriver) -> None:
    chain = Chain(Copy(), Copy())
    values, source = numbers()
    np.testing.assert_array_equal(chain(source, DeviceBuffer(chain.context, DESC.nbytes)), values)
    del source
    gc.collect()
    driver.order.clear()
    del chain
    gc.collect()
    assert "destroy memory" in driver.order
    assert driver.order.index("synchronize") < driver.order.index("destroy memory")
    assert driver.order[-1] == "destroy context"


def test_sets_of_addresses_are_recorded_once_until_pushed_out(driver: FakeDriver) -> None:
    chain = Chain(Copy())
    sources = [numbers(start) for start in (0, 50, 90)]
    target = DeviceBuffer(chain.context, DESC.nbytes)
    for pick, calls in ((0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4)):
        values, source = sources[pick]
        np.testing.assert_array_equal(chain(source, target), values)
        assert chain.calls == calls


def test_a_failed_recording_leaves_the_capture(driver: FakeDriver) -> None:
    class Failing(Copy):
        type = "Test.FailingCopy"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            raise ValueError("no")

    chain = Chain(Copy(), Failing())
    _, source = numbers()
    with pytest.raises(ValueError, match="no"):
        chain(source, DeviceBuffer(chain.context, DESC.nbytes))
    assert driver.captures == {}
    assert driver.contexts == []


def test_errors_of_callbacks_name_the_layer(driver: FakeDriver) -> None:
    class Broken(HostIncrement):
        type = "Test.BrokenHost"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            raise ValueError("broken")

    chain = Chain(Copy(), Broken())
    _, source = numbers()
    with pytest.raises(DeviceError, match="layer 'layer1' failed: ValueError: broken"):
        chain(source, DeviceBuffer(chain.context, DESC.nbytes))


def test_constants_are_uploaded_once_and_lazily(driver: FakeDriver) -> None:
    context = Context.of(0)
    weights = DeviceWeights(context)
    array = np.arange(4, dtype=np.float32)
    first, second = CudaSlots(weights), CudaSlots(weights)
    slots = [one.bind(array) for one in (first, first, second)]
    assert weights.nbytes == 0
    addresses = {one.address(slot) for one, slot in zip((first, first, second), slots, strict=True)}
    assert len(addresses) == 1
    assert weights.nbytes == 16


def test_a_layer_alone(driver: FakeDriver) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run_on_gpu(Copy(), [x])[0], x)
    np.testing.assert_array_equal(run_on_gpu(HostIncrement(), [x])[0], x + 1)


def test_scalars_and_pinned_memory(driver: FakeDriver) -> None:
    context = Context.of(0)
    buffer = DeviceBuffer.of(context, np.array([7, 9]))
    with context.current():
        stream = CudaRecording(context, CudaSlots(DeviceWeights(context)), lambda s: None).stream
        assert read_int64(buffer.address + 8, stream) == 9
    part = pinned_array(context, 100)[10:20]
    part[:] = 3
    gc.collect()
    assert part.tolist() == [3] * 10
