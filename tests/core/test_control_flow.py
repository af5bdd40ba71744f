"""Bodies inside bodies, with Python layers in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network, Registry, ShapeError
from plugrt.plugins import Shape, TensorDesc, attribute

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


class HostAdd(LayerPlugin):
    """x + amount in Python; an error above 100."""

    type = "Test.HostAdd"
    amount = attribute(float, 1.0, "what is added")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + np.float32(self.amount)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        if inputs[0].max() > 100:
            raise OverflowError("above 100")
        outputs[0][...] = inputs[0] + np.float32(self.amount)


def host_add(net: Network, x: Any, name: str, amount: float = 1.0) -> Any:
    return net.add_layer(HostAdd(amount=amount), [x], name=name).output


def branch(registry: Registry, name: str, amount: float, size: Any = 4) -> Network:
    """relu(x + amount) * 2, the sum in Python."""
    body = Network(name, registry)
    y = host_add(body, body.add_input("x", "float32", [size]), "host", amount)
    body.mark_output(body.add_multiply(body.add_relu(y).output, np.float32(2)).output, "y")
    return body


def loop_body(registry: Registry, inner: Callable[[Network, Any], Any]) -> Network:
    """The frame of a loop's body: `inner` maps the carried value to the next one."""
    body = Network("step", registry)
    body.add_input("iteration", "int64", [])
    going = body.add_input("condition", "bool", [])
    value = inner(body, body.add_input("value", "float32", [4]))
    body.mark_output(going, "going")
    body.mark_output(value, "next")
    return body


def loop(net: Network, x: Any, maximum: Any, body: Network, name: str = "loop") -> Any:
    always = net.add_constant(net.unique_name("always"), np.array(True))
    if not hasattr(maximum, "shape"):
        maximum = net.add_constant(net.unique_name("maximum"), np.array(maximum, np.int64))
    return net.add_layer("Loop", [maximum, always, x], name=name, body=body, carried=1).output


@pytest.fixture
def x(network: Network) -> Any:
    return network.add_input("x", "float32", [4])


X = np.array([-3, -1, 0, 2], np.float32)


@pytest.mark.parametrize("fusion", [True, False])
def test_branches_with_python_inside(network: Network, x: Any, agree: Run, fusion: bool) -> None:
    flag = network.add_input("flag", "bool", [])
    y = network.add_layer("If", [flag, x], then_body=branch(network.registry, "near", 1),
                          else_body=branch(network.registry, "far", 10)).output  # fmt: skip
    network.mark_output(host_add(network, y, "last"), "y")
    results = [
        agree(network, {"flag": np.array(value), "x": X}, fusion=fusion)["y"]
        for value in (True, False)
    ]
    np.testing.assert_array_equal(results, [[1, 1, 3, 7], [15, 19, 21, 25]])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_loops_with_python_inside(network: Network, x: Any, agree: Run, count: int) -> None:
    maximum = network.add_input("maximum", "int64", [])
    body = loop_body(network.registry, lambda net, value: host_add(net, value, "host", 0.5))
    network.mark_output(loop(network, x, maximum, body), "y")
    found = agree(network, {"x": X, "maximum": np.array(count)})["y"]
    np.testing.assert_array_equal(found, X + count / 2)


def nested(network: Network, x: Any) -> Network:
    """Twice: if the largest value is below 4, three times x + 1, else relu(x - 10) * 2."""

    def step(net: Network, value: Any) -> Any:
        small = net.add_less(net.add_layer("ReduceMax", [value], keep_dims=False).output, 4.0)
        inner = Network("inner", net.registry)
        captured = inner.add_input("captured", "float32", [4])
        body = loop_body(net.registry, lambda deep, now: host_add(deep, now, "deepest"))
        inner.mark_output(loop(inner, captured, 3, body, "three times"), "y")
        return net.add_layer("If", [small.output, value], name="choice", then_body=inner,
                             else_body=branch(net.registry, "shrink", -10)).output  # fmt: skip

    network.mark_output(loop(network, x, 2, loop_body(network.registry, step), "twice"), "y")
    return network


def test_bodies_in_bodies(network: Network, x: Any, agree: Run, quick_build: Build) -> None:
    found = agree(nested(network, x), {"x": X})["y"]
    np.testing.assert_array_equal(found, np.maximum(X + 3 - 10, 0) * 2)
    engine = quick_build(network)
    with engine.create_context() as context:
        for _ in range(3):
            np.testing.assert_array_equal(context.execute({"x": X})["y"], found)
        (segment,) = context.recording({"x": (4,)}).segments
        assert (segment.first, segment.last) == (0, len(engine.planned.network.layers))
        assert [t.name for t in context.profile({"x": X}, runs=2)] == list(engine.layers)
    loaded = Engine.from_bytes(engine.to_bytes(), Registry.of([HostAdd]))
    with loaded, loaded.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": X})["y"], found)


def test_errors_inside_bodies_name_the_way_to_the_layer(
    network: Network, x: Any, quick_build: Build
) -> None:
    network = nested(network, x)
    network.mark_output(host_add(network, network.outputs[0], "after"), "after")
    with quick_build(network).create_context() as context:
        with pytest.raises(DeviceError, match="layer 'twice/choice/host' failed: OverflowError"):
            context.execute({"x": X + 200})
        with pytest.raises(DeviceError, match="layer 'twice/choice/host' failed: OverflowError"):
            context.execute({"x": X + 200})
        np.testing.assert_array_equal(
            context.execute({"x": X})["y"], np.maximum(X + 3 - 10, 0) * 2
        )


def test_what_follows_a_body_is_the_outer_layers_again(
    network: Network, x: Any, quick_build: Build
) -> None:
    body = loop_body(network.registry, lambda net, value: host_add(net, value, "inside", 60))
    network.mark_output(host_add(network, loop(network, x, 2, body), "after"), "y")
    with quick_build(network).create_context() as context:
        with pytest.raises(DeviceError, match="layer 'after' failed"):
            context.execute({"x": X})
        with pytest.raises(DeviceError, match="layer 'loop/inside' failed"):
            context.execute({"x": X + 100})


def test_one_body_twice(network: Network, x: Any, agree: Run) -> None:
    flag = network.add_input("flag", "bool", [])
    body = branch(network.registry, "both", 1)
    y = network.add_layer("If", [flag, x], then_body=body, else_body=body, name="first").output
    y = network.add_layer("If", [flag, y], then_body=body, else_body=body, name="second").output
    network.mark_output(y, "y")
    agree(network, {"flag": np.array(True), "x": X})


def test_bodies_follow_the_outer_sizes(network: Network, quick_build: Build) -> None:
    flag = network.add_input("flag", "bool", [])
    x = network.add_input("x", "float32", ["N"])
    bodies = {"then_body": branch(network.registry, "near", 1, "M"),
              "else_body": branch(network.registry, "far", 2, "M")}  # fmt: skip
    network.mark_output(network.add_layer("If", [flag, x], **bodies).output, "y")
    with quick_build(network).create_context() as context:
        for size in (4, 0, 1000, 4):
            feeds = {"flag": np.array(size > 4), "x": np.arange(size, dtype=np.float32) / 50}
            (wanted,) = network.reference(list(feeds.values()))
            np.testing.assert_allclose(context.execute(feeds)["y"], np.asarray(wanted), rtol=1e-6)


def test_sizes_at_which_a_body_cannot_work(network: Network, quick_build: Build) -> None:
    body = Network("wide", network.registry)
    image = body.add_input("image", "float32", [1, 1, "H", "H"])
    body.mark_output(body.add_max_pooling(image, kernel=(3, 3), name="pool").output, "y")
    flag = network.add_input("flag", "bool", [])
    x = network.add_input("x", "float32", [1, 1, 8, 8])
    network.mark_output(
        network.add_layer("If", [flag, x], then_body=body, else_body=body).output, "y"
    )
    with pytest.raises(ShapeError, match=r"body 'wide': layer 'pool'.*declare them as numbers"):
        quick_build(network)


def test_scales_inside_bodies(network: Network, x: Any, run: Run) -> None:
    """Without 8-bit storage they mean nothing there either."""
    body = Network("body", network.registry)
    inner = body.add_input("x", "float32", [4])
    inner.set_quantization(0.5)
    y = host_add(body, inner, "host")
    y.set_quantization(0.5)
    body.mark_output(y, "y")
    flag = network.add_input("flag", "bool", [])
    network.mark_output(
        network.add_layer("If", [flag, x], then_body=body, else_body=body).output, "y"
    )
    for precision in ("fp32", "int8"):
        found = run(network, {"x": X, "flag": np.array(True)}, precision=precision)["y"]
        np.testing.assert_array_equal(found, X + 1)
