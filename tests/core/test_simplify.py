"""Simplification: constants are folded and dead layers removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, PluginError
from plugrt.core.passes.copying import copy_network
from plugrt.core.passes.simplify import simplify
from plugrt.plugins import Shape, TensorDesc, attribute

Random = np.random.Generator
Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


def simplified(network: Network) -> tuple[Network, list[str]]:
    """A simplified copy, and the report."""
    copy = copy_network(network)
    report: list[str] = []
    simplify(copy, report.append)
    return copy, report


def types(network: Network) -> list[str]:
    return [layer.plugin.type for layer in network.layers]


# ---- folding ----------------------------------------------------------------------------------


def test_what_does_not_depend_on_inputs_is_computed(network: Network, rng: Random) -> None:
    x = network.add_input("x", "float32", [3])
    values = rng.standard_normal(3).astype(np.float32)
    constant = network.add_exp(network.add_negate(values, name="minus").output, name="e").output
    network.mark_output(network.add_multiply(x, constant, name="y").output)
    network.mark_output(constant, "constant")
    copy, report = simplified(network)
    assert types(copy) == ["Multiply"]
    (folded,) = [t for t in copy.tensors.values() if t.is_constant]
    np.testing.assert_allclose(folded.value, np.exp(-values), rtol=1e-6)
    assert copy.outputs[1] is folded
    assert copy.output_names == ["y", "constant"]
    assert [line.partition(":")[0] for line in report] == ["minus", "e"]


def test_shape_arithmetic_folds(network: Network, agree: Run) -> None:
    x = network.add_input("x", "float32", [2, 3, 4])
    shape = network.add_shape(x).output
    last = network.add_gather(shape, np.array([2], np.int64), axis=0).output
    wanted = network.add_concatenation(last, np.array([-1], np.int64), axis=0).output
    network.mark_output(network.add_reshape(x, wanted, name="y").output)
    copy, _ = simplified(network)
    assert types(copy) == ["Reshape"]
    agree(network, {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)})


def test_data_dependent_shapes_are_not_folded(network: Network, agree: Run) -> None:
    mask = np.array([0, 1, 1], np.float32)
    network.mark_output(network.add_layer("NonZero", [mask], name="found").outputs[0])
    copy, _ = simplified(network)
    assert types(copy) == ["NonZero"]
    agree(network, {})


class Unknown(LayerPlugin):
    """A constant that only runs; its reference fails as its attribute says."""

    type = "Test.Unknown"
    how = attribute(str, doc="how")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        if self.how == "raises":
            raise ZeroDivisionError("of one's own")
        if self.how == "none":
            return super().reference(inputs)
        return [] if self.how == "count" else [np.zeros((7, 7))]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] + 1


@pytest.mark.parametrize("how", ["raises", "none"])
def test_without_a_reference_a_constant_is_computed_at_every_inference(
    network: Network, run: Run, how: str
) -> None:
    y = network.add_layer(Unknown(how=how), [np.ones(2, np.float32)], name="y")
    network.mark_output(y.output)
    copy, report = simplified(network)
    assert types(copy) == ["Test.Unknown"]
    assert len(report) == 1
    np.testing.assert_array_equal(run(network, {})["y"], [2, 2])


@pytest.mark.parametrize(("how", "message"), [("count", "gives 0 arrays for 1"),
                                              ("shape", "gives shape 7x7 for an output of 2")])
def test_references_that_break_the_contract_are_named(
    network: Network, quick_build: Build, how: str, message: str
) -> None:
    network.mark_output(network.add_layer(Unknown(how=how), [np.ones(2)], name="y").output)
    with pytest.raises(PluginError, match=rf"layer 'y' \(Test.Unknown\): .*{message}"):
        quick_build(network)


# ---- equal layers -----------------------------------------------------------------------------


class Counted(LayerPlugin):
    """x * factor; equal by its attribute."""

    type = "Test.Counted"
    input_names = ("input", "weights?")
    factor = attribute(float, 2.0, "")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * np.float32(self.factor)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] * np.float32(self.factor)


def test_layers_that_compute_the_same_become_one(network: Network, agree: Run) -> None:
    x = network.add_input("x", "float32", [3])
    first = network.add_exp(network.add_layer(Counted(), [x], name="a").output, name="ea").output
    second = network.add_exp(network.add_layer(Counted(), [x], name="b").output, name="eb").output
    network.mark_output(network.add_add(first, second, name="sum").output)
    copy, report = simplified(network)
    assert types(copy) == ["Test.Counted", "Exp", "Add"]
    assert report == ["b: computes the same as a", "eb: computes the same as ea"]
    agree(network, {"x": np.arange(3, dtype=np.float32)})


def test_constants_are_compared_by_their_contents(network: Network) -> None:
    x = network.add_input("x", "float32", [3])
    for name, values in (("p", [1, 2, 0]), ("q", [1, 2, 0]), ("r", [1, 2, -0.0])):
        network.mark_output(network.add_multiply(x, np.float32(values), name=name).output, name)
    copy, report = simplified(network)
    assert types(copy) == ["Multiply", "Multiply"]
    assert report == ["q: computes the same as p"]
    assert copy.output_names == ["p", "q", "r"]
    assert copy.outputs[0] is copy.outputs[1]


def test_what_differs_stays(network: Network) -> None:
    x = network.add_input("x", "float32", [3])
    y = network.add_input("y", "float32", [3])
    scaled = [
        network.add_layer(Counted(), [x]).output,
        network.add_layer(Counted(factor=3.0), [x]).output,
        network.add_layer(Counted(), [y]).output,
        network.add_layer(Counted(), [x, np.float32([1])]).output,
        network.add_layer(Counted(), [x, np.float32([2])]).output,
    ]
    scaled[0].set_quantization(0.5)
    scaled.append(network.add_layer(Counted(), [x]).output)
    network.mark_output(network.add_sum(*scaled).output)
    copy, report = simplified(network)
    assert len(copy.layers) == 7
    assert not report


def test_equal_layers_with_sizes_of_their_own_stay(network: Network, agree: Run) -> None:
    x = network.add_input("x", "float32", [4])
    for name in "ab":
        indices, _ = network.add_layer("NonZero", [x], name=name).outputs
        network.mark_output(indices, name)
    copy, _ = simplified(network)
    assert types(copy) == ["NonZero", "NonZero"]
    agree(network, {"x": np.float32([0, 1, 0, 2])})


# ---- dead layers ------------------------------------------------------------------------------


def test_dead_layers_and_their_constants_go(network: Network) -> None:
    x = network.add_input("x", "float32", [1, 3, 8, 8])
    unused = network.add_input("unused", "float32", [3])
    network.mark_output(network.add_relu(x, name="y").output)
    y = network.add_convolution(x, np.zeros((4, 3, 1, 1), np.float32), name="dead").output
    network.add_sigmoid(y)
    network.add_layer("NonZero", [unused], name="dead sizes")
    copy, _ = simplified(network)
    assert types(copy) == ["ReLU"]
    assert set(copy.tensors) == {"x", "unused", "y"}
    assert copy.input_names == ("x", "unused")
    assert copy.size_tensors == {}


def test_a_size_keeps_its_layer_alive(network: Network) -> None:
    x = network.add_input("x", "float32", [3])
    found = network.add_layer("NonZero", [x], name="found")
    network.mark_output(found.outputs[0])
    copy, _ = simplified(network)
    assert types(copy) == ["NonZero"]
    assert set(copy.size_tensors) == {"found.size1"}


def test_bodies_are_simplified_too(network: Network, run: Run) -> None:
    body = Network("body", network.registry)
    x = body.add_input("x", "float32", [4])
    body.mark_output(body.add_multiply(x, body.add_exp(np.float32(1)).output).output)
    body.add_sigmoid(x)
    flag = network.add_input("flag", "bool", [])
    outer = network.add_input("outer", "float32", [4])
    network.mark_output(
        network.add_layer("If", [flag, outer], then_body=body, else_body=body, name="y").output
    )
    copy, _ = simplified(network)
    inside = copy.layers[0].plugin.attribute_values["then_body"]
    assert types(inside) == ["Multiply"]
    found = run(network, {"flag": np.array(True), "outer": np.ones(4, np.float32)})["y"]
    np.testing.assert_allclose(found, np.e, rtol=1e-6)
