"""Control flow on a GPU whose bodies cannot run there: the whole layer runs on the host.

The networks are those of tests/core/test_control_flow.py, on a GPU where there is one, else on a
driver that is played.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DeviceError, Engine, Network, Registry
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.plugins import LayerPlugin, Stream, Tactic, TacticRequest
from plugrt.plugins.native import cuda
from tests.core.test_control_flow import HostAdd, X, branch, host_add, loop, loop_body, nested

from .fake_driver import FakeDriver
from .test_engine_without_gpu import Through


class There(Through):
    """x, by a copy on the GPU's stream."""

    type = "Test.There"

    def reference(self, inputs: Any) -> list[Any]:
        return [inputs[0]]


class Picky(LayerPlugin):
    """x, copied on the GPU where it has two rows; by a kernel for the CPU else."""

    type = "Test.Picky"
    devices = ("cpu", "cuda")
    recordable = True

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def reference(self, inputs: Any) -> list[Any]:
        return [inputs[0]]

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        suits = request.device == "cpu" or request.inputs[0].sizes[0] == 2  # type: ignore
        return [Tactic("plain")] if suits and not request.epilogue else []

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        assert stream.device == "cpu"
        stream.host_callback(lambda given, made: np.copyto(made[0], given[0]), inputs, outputs)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Network:
    if not cuda.available():
        request.getfixturevalue("driver")
    registry = Registry(Registry.default())
    for layer in (HostAdd, There, Picky):
        registry.register(layer)
    return Network("test", registry)


def built(network: Network, **options: Any) -> Engine:
    config = {"device": "cuda", "tune": "off", "threads": 1, **options}
    return plugrt.build(network, BuilderConfig(**config))


def check(network: Network, feeds: dict[str, Any], hosted: list[str], **options: Any) -> Engine:
    """Values are right, at once and from a plan; these layers, and none else, are told of."""
    wanted = network.reference([feeds[name] for name in network.input_names])
    engine = built(network, **options)
    told = [line for line in engine.report if "runs on the host" in line]
    assert [line.partition(":")[0] for line in told] == hosted, told
    loaded = Engine.from_bytes(engine.to_bytes(), network.registry)
    for one in (engine, loaded):
        with one.create_context() as context:
            for _ in range(2):
                for expected, found in zip(wanted, context.execute(feeds).values(), strict=True):
                    np.testing.assert_array_equal(found, np.asarray(expected))
            assert [time.name for time in context.profile(feeds, 1)] == list(one.layers)
    loaded.close()
    return engine


def through(network: Network, x: Any, name: str) -> Any:
    return network.add_layer(There(), [x], name=name).output


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_branches(network: Network, value: bool, precision: str) -> None:
    flag = network.add_input("flag", "bool", [])
    x = through(network, network.add_input("x", "float32", [4]), "before")
    y = network.add_layer("If", [flag, x], then_body=branch(network.registry, "near", 1),
                          else_body=branch(network.registry, "far", 10), name="choice").output
    network.mark_output(through(network, y, "after"), "y")
    feeds = {"flag": np.array(value), "x": X}
    with check(network, feeds, ["choice"], precision=precision) as engine:
        assert "Test.HostAdd in its body" in "\n".join(engine.report)
        with engine.create_context() as context:
            context.execute(feeds)
            found = context.recording({"flag": (), "x": (4,)})
            (segment,) = found.segments
            steps = found.variant(segment, found.sizes).recording.instance().steps
            assert [isinstance(step, Graph) for step in steps] == [True, False, True]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_loops(network: Network, count: int) -> None:
    maximum = network.add_input("maximum", "int64", [])
    x = network.add_input("x", "float32", [4])
    body = loop_body(network.registry, lambda net, value: host_add(net, value, "host", 0.5))
    y = loop(network, through(network, x, "before"), maximum, body)
    network.mark_output(through(network, y, "after"), "y")
    check(network, {"maximum": np.array(count), "x": X}, ["loop"]).close()


def test_stacked_outputs_keep_their_count(network: Network) -> None:
    """Their rows are as many as another output says, which is a tensor of the GPU."""
    x = network.add_input("x", "float32", [4])
    body = Network("step", network.registry)
    run = body.add_input("iteration", "int64", [])
    body.add_input("condition", "bool", [])
    value = host_add(body, body.add_input("value", "float32", [4]), "host")
    body.mark_output(body.add_less(run, np.array(2, np.int64)).output, "going")
    body.mark_output(value, "next")
    body.mark_output(body.add_multiply(value, np.float32(3)).output, "row")
    limit = network.add_constant("limit", np.array(9, np.int64))
    found = network.add_layer("Loop", [limit, None, x], body=body, carried=1, stacked=1,
                              name="loop").outputs  # fmt: skip
    for number, tensor in enumerate(found):
        network.mark_output(tensor, f"y{number}")
    with check(network, {"x": X}, ["loop"]) as engine, engine.create_context() as context:
        last, rows, count = context.execute({"x": X}).values()
        assert count == 3
        np.testing.assert_array_equal(rows, [3 * (X + k) for k in (1, 2, 3)])
        np.testing.assert_array_equal(last, X + 3)


def test_bodies_in_bodies(network: Network) -> None:
    network = nested(network, network.add_input("x", "float32", [4]))
    with check(network, {"x": X}, ["twice"]) as engine, engine.create_context() as context:
        with pytest.raises(DeviceError, match=r"^layer 'twice/choice/host' failed: OverflowError"):
            context.execute({"x": X + 200})
        np.testing.assert_array_equal(
            context.execute({"x": X})["y"], np.maximum(X + 3 - 10, 0) * 2
        )


def test_a_layer_whose_kernels_do_not_suit_takes_its_body_along(network: Network) -> None:
    """It has kernels for the device, but none for four numbers."""
    flag = network.add_input("flag", "bool", [])
    x = network.add_input("x", "float32", [4])
    bodies = []
    for name in ("near", "far"):
        body = Network(name, network.registry)
        y = body.add_layer(Picky(), [body.add_input("x", "float32", [4])], name="picky").output
        body.mark_output(y, "y")
        bodies.append(body)
    y = network.add_layer("If", [flag, x], then_body=bodies[0], else_body=bodies[1],
                          name="choice").output  # fmt: skip
    network.mark_output(y, "y")
    check(network, {"flag": np.array(True), "x": X}, ["choice"]).close()


def test_everything_is_given_back(driver: FakeDriver, network: Network) -> None:
    network = nested(network, network.add_input("x", "float32", [4]))

    def use() -> None:
        with built(network) as engine:
            context = engine.create_context()
            assert isinstance(context, CudaContext)
            context.execute({"x": X})
            context.close()

    for _ in range(2):
        use()
        gc.collect()
        assert driver.living == set()
