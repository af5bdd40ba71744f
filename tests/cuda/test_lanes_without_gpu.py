"""Layers beside each other in one graph, run in any order that its edges allow by a driver that
is played: results are those of one lane, and there are no more edges than it takes."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plugrt
from plugrt import BuilderConfig, Engine, Network, Registry
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.recording import CudaRecording
from plugrt.plugins import (
    Alias,
    LayerPlugin,
    Shape,
    SliceOf,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    TensorView,
    ViewOf,
    attribute,
)
from plugrt.plugins.native.cuda import packages

from .fake_driver import FakeDriver

WIDTH = 6


def array_at(stream: Any, view: TensorView) -> Any:
    """A tensor of the played GPU, whose memory is the host's."""
    desc = view.desc
    block = (ctypes.c_char * desc.nbytes).from_address(stream.address(view))
    steps = [step * desc.dtype.itemsize for step in desc.element_strides]
    return np.ndarray(desc.sizes, desc.dtype.numpy, block, 0, steps)


class OnStream(LayerPlugin):
    """Computes as a kernel would: when its node runs. Uses scratch memory on the way."""

    devices = ("cuda",)
    recordable = True

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return tuple(inputs[0].shape)

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        if request.device != "cuda" or request.epilogue:
            return []
        everything = frozenset(range(len(request.inputs)))
        return [Tactic("node", strided_inputs=everything, strided_outputs=frozenset({0}))]

    def getWorkspaceSize(self, inputs: Any, outputs: Any) -> int:
        return int(outputs[0].nbytes)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        given = [array_at(stream, view) for view in inputs]
        target = array_at(stream, outputs[0])
        scratch = array_at(stream, workspace).view(np.float32)[: target.size]

        def half() -> None:
            scratch[:] = self.compute(*given).reshape(-1)

        def rest() -> None:
            target[...] = scratch.reshape(target.shape)

        driver: Any = packages.driver()
        driver.put(stream.handle, half)
        driver.put(stream.handle, rest)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [self.compute(*inputs)]

    def compute(self, *inputs: Any) -> Any:
        raise NotImplementedError


class Scaled(OnStream):
    """x times a factor."""

    type = "Test.Scaled"
    factor = attribute(float, 1.5, "factor")

    def compute(self, *inputs: Any) -> Any:
        return inputs[0] * np.float32(self.factor)


class Sum(OnStream):
    """The sum of all inputs."""

    type = "Test.Sum"
    input_names = ("parts*",)

    def compute(self, *inputs: Any) -> Any:
        return sum(inputs[1:], inputs[0])


class Joined(OnStream):
    """All inputs one behind the other, each in its slice where it can be."""

    type = "Test.Joined"
    input_names = ("parts*",)

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (*inputs[0].shape[:-1], sum(desc.shape[-1] for desc in inputs))  # type: ignore

    def compute(self, *inputs: Any) -> Any:
        return np.concatenate(inputs, -1)

    def aliases(self, inputs: Any, outputs: Any) -> Sequence[Alias]:
        ends = np.cumsum([0, *(desc.sizes[-1] for desc in inputs)])
        last = outputs[0].rank - 1
        return [SliceOf(k, 0, last, int(ends[k])) for k in range(len(inputs))]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        start = 0
        for view in inputs:
            size = view.shape[-1]
            part = outputs[0].slice(view.desc.rank - 1, start, size)
            start += size
            if not view.same_memory(part):
                source, target = array_at(stream, view), array_at(stream, part)
                driver: Any = packages.driver()
                driver.put(stream.handle, lambda s=source, t=target: np.copyto(t, s))


class First(OnStream):
    """The first half of each row, as a view where it can be."""

    type = "Test.First"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (*inputs[0].shape[:-1], inputs[0].shape[-1] // 2)

    def compute(self, *inputs: Any) -> Any:
        return inputs[0][..., : inputs[0].shape[-1] // 2]

    def aliases(self, inputs: Any, outputs: Any) -> Sequence[Alias]:
        return [ViewOf(0, 0, 0, inputs[0].element_strides)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        if not inputs[0].same_memory(outputs[0]):
            super().enqueue(inputs, outputs, workspace, stream)


class InPython(LayerPlugin):
    """x + 1, on the host between two graphs."""

    type = "Test.InPython"

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + 1]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        outputs[0][...] = inputs[0] + 1


class CallingBack(Scaled):
    """x times a factor, then 1 more in Python: a layer of the GPU parts the graph itself."""

    type = "Test.CallingBack"

    def compute(self, *inputs: Any) -> Any:
        return inputs[0] * np.float32(self.factor)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [self.compute(*inputs) + 1]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        super().enqueue(inputs, outputs, workspace, stream)
        stream.host_callback(
            lambda given, made: np.add(given[0], 1, out=made[0]), outputs, outputs
        )


LAYERS = (Scaled, Sum, Joined, First, InPython, CallingBack)


def empty() -> Network:
    registry = Registry(Registry.default())
    for layer in LAYERS:
        registry.register(layer)
    return Network("lanes", registry)


@st.composite
def networks(draw: Callable[..., Any]) -> Network:
    """A graph of up to a dozen layers, with branches, and one to three outputs."""
    net = empty()
    values = [net.add_input("x", "float32", ["N", WIDTH])]
    kinds = st.sampled_from([Scaled, Scaled, Scaled, Sum, Joined, First, InPython, CallingBack])
    for number in range(draw(st.integers(2, 12))):
        kind = draw(kinds)
        x = draw(st.sampled_from(values))
        inputs = [x]
        if kind in (Sum, Joined):
            fitting = [v for v in values if kind is Joined or v.shape == x.shape]
            inputs += draw(st.lists(st.sampled_from(fitting), max_size=2))
        if kind is First and x.shape[-1] < 2:
            continue
        has_factor = kind in (Scaled, CallingBack)
        plugin = kind(factor=1 + number / 8) if has_factor else kind()
        made = net.add_layer(plugin, inputs, name=f"layer{number}").output
        if made.shape[-1] <= 64:
            values.append(made)
    if len(values) == 1:
        values.append(net.add_layer(Scaled(), values, name="only").output)
    chosen = draw(st.lists(st.sampled_from(values[1:]), max_size=2))
    for number, tensor in enumerate({id(t): t for t in (values[-1], *chosen)}.values()):
        own = net.add_layer(Scaled(factor=3 + number / 8), [tensor], name=f"end{number}")
        net.mark_output(own.output, f"y{number}")
    return net


def engine_of(network: Network, lanes: int) -> Engine:
    engine = plugrt.build(network, BuilderConfig(device="cuda", tune="off", threads=1))
    engine.planned.lanes = lanes
    return engine


def recording_of(context: Any, rows: int) -> CudaRecording:
    found = context.recording({"x": (rows, WIDTH)})
    return found.variant(found.segments[0], found.sizes).recording  # type: ignore[no-any-return]


def results(context: CudaContext, seed: int, times: int = 3) -> list[Any]:
    found = []
    for rows in (1, 3):
        x = np.random.default_rng(seed).random((rows, WIDTH), np.float32)
        for _ in range(times):
            found += [array.copy() for array in context.execute({"x": x}).values()]
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(network=networks(), lanes=st.integers(2, 5), seed=st.integers(0, 999))
def test_lanes_change_nothing_but_the_order(
    driver: FakeDriver, network: Network, lanes: int, seed: int
) -> None:
    driver.dice = random.Random(seed)
    with engine_of(network, 1) as engine, engine.create_context() as context:
        wanted = results(context, seed)
        x = np.random.default_rng(seed).random((1, WIDTH), np.float32)
        for got, expected in zip(context.execute({"x": x}).values(), network.reference([x]),
                                 strict=True):  # fmt: skip
            np.testing.assert_array_equal(got, expected)
    with engine_of(network, lanes) as engine, engine.create_context() as context:
        for got, expected in zip(results(context, seed), wanted, strict=True):
            np.testing.assert_array_equal(got, expected)
        assert context.profile({"x": x}, 1)


def diamond(branches: int, length: int = 2) -> Network:
    """x -> first -> branches -> joined -> last."""
    net = empty()
    x = net.add_input("x", "float32", ["N", WIDTH])
    first = net.add_layer(Scaled(), [x], name="first").output
    parts = []
    for number in range(branches):
        value = first
        for k in range(length):
            factor = 1 + number + k / 4
            value = net.add_layer(
                Scaled(factor=factor), [value], name=f"b{number}.{k}"
            ).output
        parts.append(value)
    joined = net.add_layer(Joined(), parts, name="joined").output
    net.mark_output(net.add_layer(Scaled(factor=0.5), [joined], name="last").output, "y")
    return net


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8])
def test_a_graph_has_the_edges_that_it_takes(driver: FakeDriver, lanes: int) -> None:
    """Each layer is two nodes. What only joins its inputs in their places is none, and costs
    no edges of its own."""
    with engine_of(diamond(4), lanes) as engine, engine.create_context() as context:
        results(context, 1, 1)
        instance = recording_of(context, 3).instance()
        nodes = 2 * 10 + 2  # with the copies from and to the host
        assert instance.nodes == nodes
        used = min(lanes, 4)
        assert instance.edges == nodes - 1 + used - 1
        assert context.recording({"x": (3, WIDTH)}).arrangement.count == used


def test_a_layer_on_the_host_parts_the_graph(driver: FakeDriver) -> None:
    """Everything before it is done by then, and nothing behind it has begun."""
    net = empty()
    x = net.add_input("x", "float32", ["N", WIDTH])
    left, right, third = (
        net.add_layer(Scaled(factor=f), [x], name=f"s{f}").output for f in (2.0, 3.0, 4.0)
    )
    hosted = net.add_layer(InPython(), [left], name="python").output
    both = net.add_layer(Sum(), [hosted, right], name="sum").output
    other = net.add_layer(Scaled(factor=5.0), [third], name="other").output
    net.mark_output(both, "y")
    net.mark_output(other, "z")
    for seed in range(5):
        driver.dice = random.Random(seed)
        with engine_of(net, 4) as engine, engine.create_context() as context:
            x = np.ones((3, WIDTH), np.float32)
            y, z = context.execute({"x": x}).values()
            np.testing.assert_array_equal(y, 6 * x)
            np.testing.assert_array_equal(z, 20 * x)
            steps = recording_of(context, 3).instance().steps
            assert [type(step).__name__ for step in steps] == ["Graph", "HostStep", "Graph"]


def test_rules_give_small_layers_lanes(driver: FakeDriver) -> None:
    with plugrt.build(
        diamond(3), BuilderConfig(device="cuda", tune="off", threads=1)
    ) as engine, engine.create_context() as context:
        assert engine.planned.lanes is None
        assert context.recording({"x": (3, WIDTH)}).arrangement.count == 3
        assert context.recording({"x": (1 << 20, WIDTH)}).arrangement.count == 1
