"""What the build does to networks: copies, order, replacing, and never the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, Network, Registry, ShapeError
from plugrt.core.graph.ordering import in_execution_order
from plugrt.core.passes.copying import copy_network

Build = Callable[..., Engine]


def state(network: Network) -> Any:
    """All that describes a network, bodies included, as comparable values."""
    tensors = [
        (n, id(t), t.dtype, t.shape, t.format, t.quantization, id(t.value),
         [use.name for use in t.uses], t.producer and t.producer.name, t.is_output)
        for n, t in network.tensors.items()
    ]  # fmt: skip
    layers = [
        (
            layer.name, id(layer.plugin), layer.plugin.serialize(), layer.plugin.tactic,
            layer.plugin.epilogue, layer.epilogue, layer.kernel, layer.fused,
            [t and t.name for t in layer.inputs], [t.name for t in layer.outputs],
            [state(v) for v in layer.plugin.attribute_values.values() if isinstance(v, Network)],
        )
        for layer in network.layers
    ]  # fmt: skip
    return (
        tensors, layers, network.input_names, network.output_names,
        {n: t.name for n, t in network.size_tensors.items()}, network.plan_workspace,
    )  # fmt: skip


def eventful(registry: Registry) -> Network:
    """Folding, rewriting, fusing, 8 bits, a body, a data-dependent size, an input as output."""
    network = Network("eventful", registry)
    x = network.add_input("x", "float32", ["N", 16, 6, 6])
    x.set_quantization(0.05)
    weights = np.ones((16, 16, 1, 1), np.float32)
    y = network.add_convolution(x, weights, name="conv").output
    y.set_quantization(0.7)
    ones = [np.ones(16, np.float32) for _ in range(4)]
    y = network.add_batch_normalization(y, *ones, name="norm").output
    y = network.add_leaky_relu(y, name="leaky").output
    constant = network.add_exp(np.ones(1, np.float32), name="exp").output
    y = network.add_multiply(y, constant, name="product").output
    network.add_layer("Sigmoid", [y], name="dead")
    body = Network("body", registry)
    inner = body.add_input("inner", "float32", [2])
    inner.set_quantization(0.1)
    body.mark_output(body.add_relu(body.add_abs(inner).output).output, "out")
    flag = network.add_input("flag", "bool", [])
    small = network.add_input("small", "float32", [2])
    chosen = network.add_layer("If", [flag, small], then_body=body, else_body=body, name="if")
    positive = network.add_greater(small, 0.5, name="positive").output
    found = network.add_layer("NonZero", [positive], name="found")
    for tensor in (y, x, chosen.output, found.outputs[0]):
        network.mark_output(tensor)
    return network


@pytest.mark.parametrize("options", [{}, {"precision": "int8"}, {"tune": "fast"},
                                     {"max_batch_size": 4}])  # fmt: skip
def test_the_users_network_is_unchanged_by_a_build(
    registry: Registry, quick_build: Build, options: dict[str, Any]
) -> None:
    network = eventful(registry)
    before = state(network)
    engine = quick_build(network, **options)
    assert state(network) == before
    feeds = {
        "x": np.ones((1, 16, 6, 6), np.float32), "flag": np.array(True),
        "small": np.array([-1, 1], np.float32),
    }  # fmt: skip
    with engine.create_context() as context:
        results = context.execute(feeds)
    assert state(network) == before
    np.testing.assert_array_equal(results["found"], [[1]])
    np.testing.assert_array_equal(results["if"], [1, 1])


def test_copies_are_equal_and_independent(registry: Registry) -> None:
    network = eventful(registry)
    copy = copy_network(network)
    assert list(copy.tensors) != []
    assert {n: (t.dtype, t.shape, t.quantization) for n, t in copy.tensors.items()} == {
        n: (t.dtype, t.shape, t.quantization) for n, t in network.tensors.items()
    }
    assert [layer.name for layer in copy.layers] == [layer.name for layer in network.layers]
    assert list(copy.size_tensors) == ["found.size1"]
    assert copy.size_tensors["found.size1"] is copy.tensors["found:1"]
    for ours, theirs in zip(copy.layers, network.layers, strict=True):
        assert ours.plugin is not theirs.plugin
        assert ours.plugin.serialize() == theirs.plugin.serialize()
    constants = [t for t in network.tensors.values() if t.is_constant]
    assert all(copy.tensors[t.name].value is t.value for t in constants)  # no weights twice


def test_a_copy_keeps_layer_names_that_tensors_have_too(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    layer = network.add_layer("ReLU", [x], name="x")
    assert layer.output.name != "x"
    network.mark_output(layer.output)
    copy = copy_network(network)
    assert [item.name for item in copy.layers] == ["x"]
    assert list(copy.tensors) == list(network.tensors)


def test_order_keeps_the_given_one_where_data_allow(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    a = network.add_relu(x, name="a")
    b = network.add_relu(x, name="b")
    c = network.add_add(a.output, b.output, name="c")
    d = network.add_relu(x, name="d")
    assert in_execution_order([c, d, b, a]) == [b, a, c, d]
    network.layers = [c, d, a, b]
    network.sort_layers()
    assert network.layers == [a, b, c, d]


def test_cycles_are_found(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    a = network.add_relu(x, name="a")
    b = network.add_relu(a.output, name="b")
    a.set_input(0, b.output)
    with pytest.raises(ShapeError, match=r"cycle through '[ab]'"):
        network.sort_layers()


def test_replacing_a_tensor(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    a = network.add_relu(x, name="a")
    both = network.add_add(a.output, a.output, name="both")
    network.mark_output(a.output, "kept name")
    fresh = network.insert_layer(1, a.plugin.clone(), [a.output], "fresh", [a.output.desc])
    network.replace_tensor(a.output, fresh.output, spare=[fresh])
    assert both.inputs == (fresh.output, fresh.output)
    assert fresh.inputs == (a.output,)
    assert a.output.consumers == (fresh,)
    assert network.outputs == [fresh.output]
    assert network.output_names == ["kept name"]
    assert [layer.name for layer in network.layers] == ["a", "fresh", "both"]


def test_removing_a_layer_forgets_its_tensors_and_sizes(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    layer = network.add_layer("NonZero", [x], name="found")
    assert list(network.size_tensors) == ["found.size1"]
    network.remove_layer(layer)
    assert (list(network.tensors), network.size_tensors, x.consumers) == (["x"], {}, ())
    assert network.add_layer("NonZero", [x], name="found").name == "found"
