"""Random small graphs: fused or not, tuned or not, sharing memory or not, results agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt import BuilderConfig, Network, Tensor, build
from plugrt.core.memory import Aliasing
from plugrt.core.runtime.cpu_recorder import CpuRecorder
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.core.runtime.shape_recording import ShapeRecording
from plugrt.core.runtime.weight_store import PackedWeights

Draw = Callable[[st.SearchStrategy[Any]], Any]
Values = list[Tensor]

UNARY = ("ReLU", "LeakyReLU", "Tanh", "Sigmoid", "Abs", "Mish")
BINARY = ("Add", "Subtract", "Multiply", "Maximum")


def channels(tensor: Tensor) -> int:
    return int(tensor.shape[1])  # type: ignore[call-overload]


def unary(net: Network, values: Values, draw: Draw) -> Tensor:
    return net.add_layer(draw(st.sampled_from(UNARY)), [draw(st.sampled_from(values))]).output


def binary(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    same = [value for value in (*values, *net.inputs) if value.shape[1:] == x.shape[1:]]
    other: Any = draw(st.sampled_from(same))  # perhaps "one", whose batch of 1 broadcasts
    if draw(st.integers(0, 3)) == 0:  # now and then a constant that broadcasts
        count = channels(x)
        shape = draw(st.sampled_from([(), (count, 1, 1), (1, count, 1, 1), (count, 5, 5)]))
        other = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    pair = draw(st.permutations([x, other]))
    return net.add_layer(draw(st.sampled_from(BINARY)), pair).output


def convolution(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    size, filters = draw(st.sampled_from([1, 3])), draw(st.sampled_from([3, 8, 16]))
    random = np.random.default_rng(len(values))
    weights = random.standard_normal((filters, channels(x), size, size)).astype(np.float32)
    weights /= np.sqrt(weights[0].size)
    return net.add_convolution(x, weights, padding=(size // 2,) * 4).output


def concatenation(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    fitting = [value for value in values if value.shape[2:] == x.shape[2:]]
    chosen = draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2))
    return net.add_concatenation([x, *chosen], axis=1).output


def slice_(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    start = draw(st.integers(0, channels(x) - 1))
    end = draw(st.integers(start + 1, channels(x)))
    return net.add_slice(x, starts=(start,), ends=(end,), axes=(1,)).output


def pooling(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    return net.add_max_pooling(x, kernel=(3, 3), padding=(1,) * 4).output


def reshaped(net: Network, values: Values, draw: Draw) -> Tensor:
    x = draw(st.sampled_from(values))
    flat = net.add_reshape(x, shape=(0, -1)).output
    return net.add_reshape(flat, shape=(0, channels(x), 5, 5)).output


STEPS = (unary, unary, binary, binary, convolution, concatenation, slice_, pooling, reshaped)


@st.composite
def networks(draw: Any) -> Network:
    """A graph of up to a dozen steps with one to three outputs."""
    net = Network("random")
    values = [net.add_input("x", "float32", ["N", 8, 5, 5])]
    net.add_input("one", "float32", [1, 8, 5, 5])
    for _ in range(draw(st.integers(1, 12))):
        made = draw(st.sampled_from(STEPS))(net, values, draw)
        if channels(made) <= 64:
            values.append(made)
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
    for number, tensor in enumerate([values[-1], *outputs]):
        net.mark_output(tensor, f"y{number}")
    return net


def without_sharing(planned: PlannedNetwork) -> PlannedNetwork:
    """The same decisions, but every tensor in memory of its own."""
    alone = {layer: Aliasing() for layer in planned.network.layers}
    for layer in planned.network.layers:
        into = layer.plugin.tactic.accumulates_into
        if into is not None:
            alone[layer] = Aliasing(in_place=into)
    return PlannedNetwork(planned.network, alone, planned.bodies)


def replayed(planned: PlannedNetwork, feeds: dict[str, Any]) -> list[Any]:
    """Outputs of a recording in an arena that is full of nonsense."""
    sizes = planned.sizes_of([array.shape for array in feeds.values()])
    recording = ShapeRecording(planned, sizes, CpuRecorder(PackedWeights(), 2), 2)
    arena = np.full(recording.plan.arena_size + 64, 0xFB, np.uint8)
    start = -arena.ctypes.data % 64
    outputs = [np.empty(desc.sizes, desc.dtype.numpy) for desc in recording.output_descs]
    recording.run(
        arena.ctypes.data + start,
        [array.ctypes.data for array in feeds.values()],
        [array.ctypes.data for array in outputs],
    )
    return outputs


def check(network: Network, **options: Any) -> None:
    with build(network, BuilderConfig(**{"tune": "off", "threads": 2, **options})) as engine:
        for batch in (1, 3):
            random = np.random.default_rng(batch)
            feeds = {
                name: random.standard_normal((size, 8, 5, 5)).astype(np.float32)
                for name, size in (("x", batch), ("one", 1))
            }
            kept = {name: array.copy() for name, array in feeds.items()}
            wanted = network.reference(list(feeds.values()))
            shared = replayed(engine.planned, feeds)
            apart = replayed(without_sharing(engine.planned), feeds)
            np.testing.assert_equal(feeds, kept)
            for expected, mine, theirs in zip(wanted, shared, apart, strict=True):
                scale = max(1.0, float(np.abs(np.asarray(expected)).max()))
                np.testing.assert_allclose(mine, expected, rtol=0, atol=2e-5 * scale)
                np.testing.assert_array_equal(mine, theirs)


@settings(max_examples=25)
@given(network=networks(), fusion=st.booleans())
def test_random_graphs(network: Network, fusion: bool) -> None:
    check(network, fusion=fusion)


@pytest.mark.slow
@settings(max_examples=400)
@given(network=networks(), fusion=st.booleans())
def test_many_random_graphs(network: Network, fusion: bool) -> None:
    check(network, fusion=fusion)


@pytest.mark.slow
@settings(max_examples=25)
@given(network=networks())
def test_random_graphs_with_measured_tactics(network: Network) -> None:
    check(network, tune="fast")
