"""Layers beside each other on a GPU: as fast as they should be, and bit-equal to one lane."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrt
from plugrt import BuilderConfig, Engine, Network, Registry
from plugrt.core.devices.cuda import DeviceWeights
from plugrt.core.devices.cuda.recording import CudaRecording
from plugrt.core.devices.cuda.whole_network import WholeNetwork
from plugrt.plugins import LayerPlugin, Shape, Stream, TensorDesc, attribute
from plugrt.plugins.native.cuda import Context, CudaKernel, CudaSource
from tests.core.test_random_graphs import networks

pytestmark = pytest.mark.cuda

SLOW = CudaKernel(
    CudaSource(
        """
        /* One block that takes its time, and reads what it computes from at its end. */
        extern "C" __global__ void slow(const float *x, float *y, int count, float factor)
        {
            long long start = clock64();
            while (clock64() - start < 40000)
                ;
            for (int i = threadIdx.x; i < count; i += blockDim.x)
                y[i] = x[i] * factor;
        }
        """,
        "slow.cu",
    ),
    "slow", "TTif",
)  # fmt: skip


class Slow(LayerPlugin):
    """x times a factor, some twenty microseconds later, by one block."""

    type = "Test.Slow"
    devices = ("cuda",)
    recordable = True
    factor = attribute(float, 1.5, "factor")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        count = int(np.prod(inputs[0].shape))
        stream.launch_grid(SLOW, [1], [64], inputs[0], outputs[0], count, self.factor)


class PartlyOnHost(Slow):
    """The same, and 1 more in Python: a layer of the GPU that calls back."""

    type = "Test.PartlyOnHost"

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        stream.host_callback(
            lambda given, made: np.add(given[0], 1, out=made[0]), outputs, outputs
        )


def branches(count: int, length: int = 3, last: type[LayerPlugin] = Slow) -> Network:
    """x -> branches of slow layers -> their sum."""
    registry = Registry(Registry.default())
    for layer in (Slow, PartlyOnHost):
        registry.register(layer)
    net = Network("branches", registry)
    x = net.add_input("x", "float32", ["N", 50])
    total = None
    for number in range(count):
        value = x
        for k in range(length):
            kind = last if k == length - 1 else Slow
            factor = 1 + number + k / 4
            value = net.add_layer(kind(factor=factor), [value], name=f"b{number}.{k}").output
        total = value if total is None else net.add_add(total, value).output
    net.mark_output(total, "y")
    return net


def wanted(x: Any, count: int, length: int = 3, more: float = 0.0) -> Any:
    factors = [np.prod([1 + n + k / 4 for k in range(length)]) for n in range(count)]
    return x * np.float32(sum(factors)) + np.float32(more * count)


def engine_of(network: Network, lanes: int | None, **options: Any) -> Engine:
    config = {"device": "cuda", "tune": "off", "threads": 1, **options}
    engine = plugrt.build(network, BuilderConfig(**config))
    engine.planned.lanes = lanes
    return engine


def numbers(desc: TensorDesc) -> Any:
    return np.random.default_rng(0).random(desc.sizes, np.float32).astype(desc.dtype.numpy)


def test_lanes_take_the_time_of_the_longest() -> None:
    with engine_of(branches(4), 1) as engine:
        weights = DeviceWeights(Context.of(0))
        seconds = []
        for lanes in (1, 2, 4):
            whole = WholeNetwork(engine.planned, weights, 1, {"N": 1}, lanes, numbers)
            assert whole.lanes == lanes
            seconds.append(whole.stopwatch().seconds(5))
    one, two, four = seconds
    assert 0.4 * one < two < 0.65 * one
    assert 0.2 * one < four < 0.4 * one


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_layer_may_call_back_beside_others(lanes: int) -> None:
    x = np.random.default_rng(1).random((2, 50), np.float32)
    network = branches(3, last=PartlyOnHost)
    with engine_of(network, lanes) as engine, engine.create_context() as context:
        for _ in range(5):
            found = context.execute({"x": x})["y"]
            np.testing.assert_allclose(found, wanted(x, 3, more=1), rtol=1e-6)


def test_measured_builds_choose_lanes_and_keep_them() -> None:
    network = branches(4)
    with engine_of(network, None) as engine, engine.create_context() as context:
        rules = context.recording({"x": (1, 50)}).arrangement
    assert rules.count == 4
    built = plugrt.build(network, BuilderConfig(device="cuda", threads=1))
    assert (built.planned.lanes or 1) >= 3
    assert any("lanes: " in line for line in built.report)
    loaded = Engine.from_bytes(built.to_bytes(), network.registry)
    assert loaded.planned.lanes == built.planned.lanes
    built.close()
    loaded.close()


def results(context: Any, seed: int) -> list[Any]:
    dice = np.random.default_rng(seed)
    feeds = {
        name: dice.standard_normal((size, 8, 5, 5)).astype(np.float32)
        for name, size in (("x", 2), ("one", 1))
    }
    return [array.copy() for array in context.execute(feeds).values()]


@settings(max_examples=6, derandomize=True)
@given(network=networks(), lanes=st.integers(2, 5), precision=st.sampled_from(["fp32", "fp16"]))
def test_random_networks_give_the_same_bits(network: Network, lanes: int, precision: str) -> None:
    with engine_of(network, 1, precision=precision) as engine:
        with engine.create_context() as context:
            expected = [results(context, seed) for seed in range(3)]
        engine.planned.lanes = lanes
        with engine.create_context() as context:
            for seed in (*range(3), *range(3)):
                for one, other in zip(results(context, seed), expected[seed], strict=True):
                    np.testing.assert_array_equal(one, other)


def inception() -> Network:
    """A stem and two blocks of four branches, as GoogLeNet has them, with few channels."""
    dice = np.random.default_rng(0)
    net = Network("inception")

    def convolved(x: Any, filters: int, size: int) -> Any:
        channels = x.shape[1]
        weights = dice.standard_normal((filters, channels, size, size)).astype(np.float32)
        weights /= np.sqrt(weights[0].size)
        bias = dice.standard_normal(filters).astype(np.float32)
        return net.add_relu(
            net.add_convolution(x, weights, bias, padding=(size // 2,) * 4).output
        ).output

    x = convolved(net.add_input("x", "float32", ["N", 8, 20, 20]), 32, 3)
    for _ in range(2):
        pooled = net.add_max_pooling(x, kernel=(3, 3), padding=(1,) * 4).output
        parts = [
            convolved(x, 32, 1), convolved(convolved(x, 16, 1), 32, 3),
            convolved(convolved(x, 8, 1), 16, 5), convolved(pooled, 16, 1),
        ]  # fmt: skip
        x = net.add_concatenation(parts, axis=1).output
    net.mark_output(x, "y")
    return net


def test_twelve_contexts_at_once_give_the_bits_of_one_lane() -> None:
    images = [
        np.random.default_rng(seed).standard_normal((1 + seed % 2, 8, 20, 20)).astype(np.float32)
        for seed in range(4)
    ]
    with engine_of(inception(), 1, precision="fp16") as engine:
        with engine.create_context() as context:
            expected = [context.execute({"x": image})["y"].copy() for image in images]
        engine.planned.lanes = 4
        contexts = [engine.create_context() for _ in range(12)]
        assert contexts[0].recording({"x": images[0].shape}).arrangement.count > 2
        failures: list[object] = []

        def work(context: Any, number: int) -> None:
            for turn in range(60):
                k = (number + turn) % len(images)
                found = context.execute({"x": images[k]})["y"]
                if not np.array_equal(found, expected[k]):
                    failures.append((number, turn, float(np.abs(found - expected[k]).max())))

        threads = [
            threading.Thread(target=work, args=(context, number))
            for number, context in enumerate(contexts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for context in contexts:
            context.close()
    assert not failures


def test_graphs_of_lanes_are_one_graph() -> None:
    with engine_of(inception(), 4, precision="fp16") as engine, engine.create_context() as context:
        image = np.zeros((1, 8, 20, 20), np.float32)
        context.execute({"x": image})
        found = context.recording({"x": image.shape})
        recording = found.variant(found.segments[0], found.sizes).recording
        assert isinstance(recording, CudaRecording)
        instance = recording.instance()
        assert len(instance.steps) == 1
        assert instance.nodes <= instance.edges < 2 * instance.nodes
        names = [time.name for time in context.profile({"x": image}, 2)]
        assert names == list(engine.layers)
