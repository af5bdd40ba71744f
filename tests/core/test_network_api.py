"""Defining networks: names, inputs, shapes, errors, and what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import (
    DataType,
    LayerAttributeError,
    LayerPlugin,
    Network,
    PluginError,
    Registry,
    ShapeError,
    symbol,
)
from plugrt.plugins import Shape, TensorDesc, attribute


class Spread(LayerPlugin):
    """As many outputs as its attribute says; two optional inputs and a variadic end."""

    type = "Test.Spread"
    input_names = ("x", "scale?", "more*")
    count = attribute(int, 2, "number of outputs")

    def getNbOutputs(self) -> int:
        return self.count

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return (index + 1, *inputs[0].shape)


def test_shapes_and_names_of_outputs(network: Network, registry: Registry) -> None:
    registry.register(Spread)
    x = network.add_input("x", "float32", ["N", None, 4])
    layer = network.add_layer("Test.Spread", [x], name="spread", count=3)
    assert [t.name for t in layer.outputs] == ["spread", "spread:1", "spread:2"]
    assert [t.shape for t in layer.outputs] == [(k + 1, *x.shape) for k in range(3)]
    assert x.shape == (symbol("N"), symbol("x.1"), 4)
    assert layer.output is layer.outputs[0]
    assert x.consumers == (layer,)
    assert network.free_symbols == ["N", "x.1"]


def test_optional_inputs(network: Network, registry: Registry) -> None:
    registry.register(Spread)
    x = network.add_input("x", "float32", [4])
    last = network.add_layer("Test.Spread", [x, None, x])
    assert last.inputs == (x, None, x)
    assert last.present_inputs == (x, x)
    assert network.add_layer("Test.Spread", [x, None]).inputs == (x,)
    for inputs in ([], [None, x]):
        with pytest.raises(ShapeError, match=r"takes \(x, scale\?, more\*\)"):
            network.add_layer("Test.Spread", inputs)
    with pytest.raises(ShapeError, match="got 2 inputs"):
        network.add_layer("ReLU", [x, x])


def test_names_are_unique(network: Network) -> None:
    x = network.add_input("x", "float32", [4])
    network.add_layer("ReLU", [x], name="same")
    with pytest.raises(ShapeError, match="layer name 'same' is taken"):
        network.add_layer("ReLU", [x], name="same")
    with pytest.raises(ShapeError, match="tensor name 'x' is taken"):
        network.add_input("x", "float32", [4])
    with pytest.raises(ShapeError, match="tensor name 'x' is taken"):
        network.add_constant("x", np.zeros(1, np.float32))
    names = [network.add_layer("ReLU", [x]).name for _ in range(3)]
    assert len({*names, "same"}) == 4
    network.mark_output(x, "y")
    with pytest.raises(ShapeError, match="output 'y' is marked already"):
        network.mark_output(x, "y")


def test_helpers(network: Network, registry: Registry) -> None:
    registry.register(Spread)
    x = network.add_input("x", "float32", ["N", 3, 8, 8])
    weights = np.zeros((4, 3, 3, 3), np.float32)
    layer = network.add_convolution(x, weights, name="conv", strides=(2, 2), padding=(1,) * 4)
    assert layer.plugin.type == "Convolution"
    assert layer.output.shape == (symbol("N"), 4, 4, 4)
    assert layer.inputs[1] is network.tensors["conv.weights"]
    both = network.add_concatenation([layer.output, layer.output], axis=1)
    assert both.output.shape == (symbol("N"), 8, 4, 4)
    assert network.add_test_spread(x).plugin.type == "Test.Spread"
    with pytest.raises(AttributeError, match=r"no layer type for add_nothing; there are: .*re_?lu"):
        network.add_nothing(x)
    with pytest.raises(AttributeError, match="'missing'"):
        _ = network.missing


@pytest.mark.parametrize(
    ("add", "error", "message"),
    [
        (lambda n, x: n.add_layer("Nothing", [x]), PluginError, "Nothing"),
        (lambda n, x: n.add_layer("ReLU", [x], slope=1), LayerAttributeError, "slope"),
        (lambda n, x: n.add_layer("Concatenation", [x, np.zeros((5, 5), np.float32)], name="c"),
         ShapeError, r"layer 'c' \(Concatenation\).*inputs: float32\[2x3\], float32\[5x5\]"),
        (lambda n, x: n.add_layer("MaxPooling", [n.add_input("i", "float32", [1, 1, 2, 2])],
                                  name="p", kernel=(5, 5)), ShapeError, "layer 'p'"),
        (lambda n, x: n.add_input("i", "float32", [2, -1]), ShapeError, "input 'i': size -1"),
        (lambda n, x: n.add_input("i", "text", [2]), ShapeError, "'text' is not supported"),
        (lambda n, x: n.add_constant("c", np.array(["a"])), ShapeError, "constant 'c'"),
        (lambda n, x: n.add_layer(Spread(), [x], count=1), PluginError, "count"),
        (lambda n, x: Network().add_layer("ReLU", [x]), ShapeError, "not a tensor of network"),
        (lambda n, x: n.mark_output(Network().add_input("i", "float32", [1])), ShapeError,
         "mark_output"),
    ],
)  # fmt: skip
def test_errors(
    network: Network, add: Callable[[Network, Any], Any], error: type[Exception], message: str
) -> None:
    x = network.add_input("x", "float32", [2, 3])
    with pytest.raises(error, match=message):
        add(network, x)
    assert network.layers == []


def test_a_layer_that_fails_leaves_nothing_behind(network: Network) -> None:
    x = network.add_input("x", "float32", [1, 3, 8, 8])
    before = dict(network.tensors)
    with pytest.raises(ShapeError):
        network.add_layer("Convolution", [x, np.zeros((4, 7, 3, 3), np.float32)], name="conv")
    assert network.tensors == before
    assert x.consumers == ()
    layer = network.add_layer("Convolution", [x, np.zeros((4, 3, 3, 3), np.float32)], name="conv")
    assert layer.inputs[1] is not None
    assert layer.inputs[1].name == "conv.weights"


def test_constants_in_the_kernels_order(network: Network) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    kept = network.add_constant("kept", values)
    assert kept.value is values
    unaligned = np.frombuffer(b"-" + values.tobytes(), np.float32, offset=1).reshape(2, 3)
    for name, array in {
        "transposed": np.asfortranarray(values),
        "foreign": values.astype(">f4"),
        "unaligned": unaligned,
    }.items():
        tensor = network.add_constant(name, array)
        assert tensor.value is not None
        np.testing.assert_array_equal(tensor.value, values)
        assert tensor.value.dtype == np.dtype("=f4")
        assert tensor.value.flags.c_contiguous
        assert tensor.value.flags.aligned
    assert network.add_constant("floats", [0.5, 1.5]).dtype is DataType.FLOAT32
    assert network.add_constant("float64", np.float64(0.5)).dtype is DataType.FLOAT64
    assert network.add_constant("integers", [1, 2]).dtype is DataType.INT64


class Broken(LayerPlugin):
    """Fails in the way its attribute names."""

    type = "Test.Broken"
    how = attribute(str, doc="how")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Any:
        return {
            "raises": lambda: inputs[7].shape,
            "fraction": lambda: (2.5,),
            "negative": lambda: (3, -2),
        }.get(self.how, lambda: (2,))()

    def getOutputValue(self, index: int, inputs: Sequence[TensorDesc]) -> Any:
        return {
            "type": np.zeros(2, np.int64),
            "shape": np.zeros(3, np.float32),
        }.get(self.how)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("raises", PluginError, "IndexError"),
        ("fraction", PluginError, "TypeError"),
        ("negative", ShapeError, "3x-2 has a negative size"),
        ("type", PluginError, r"getOutputValue\(0\) gives int64 of shape 2"),
        ("shape", PluginError, r"getOutputValue\(0\) gives float32 of shape 3"),
    ],
)
def test_plug_ins_that_break_the_contract_are_named(
    network: Network, how: str, error: type[Exception], message: str
) -> None:
    x = network.add_input("x", "float32", [2])
    with pytest.raises(error, match=rf"layer 'bad' \(Test.Broken\).*{message}"):
        network.add_layer(Broken(how=how), [x], name="bad")
