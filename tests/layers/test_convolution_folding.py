"""What follows a convolution and multiplies and adds per channel goes into its weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Network, Tensor, build
from plugrt.core.passes.copying import copy_network
from plugrt.core.passes.simplify import simplify

CHANNELS = 8


def followers(network: Network, rng: Any, source: Tensor, kind: str) -> Tensor:
    """One layer behind a convolution."""

    def vector(*shape: int) -> Any:
        return rng.uniform(0.5, 2, shape).astype(np.float32)

    if kind == "BatchNormalization":
        constants = [vector(CHANNELS) for _ in range(4)]
        return network.add_layer(kind, [source, *constants], epsilon=1e-3).output
    if kind == "Scale":
        return network.add_layer(kind, [source, vector(CHANNELS)], shifted=False).output
    if kind == "Add":
        return network.add_layer(kind, [vector(CHANNELS, 1, 1), source]).output
    if kind == "Multiply":
        return network.add_layer(kind, [source, vector(1)]).output
    if kind == "Subtract":
        return network.add_layer(kind, [vector(CHANNELS, 1, 1), source]).output
    if kind == "Divide":
        return network.add_layer(kind, [source, vector(1, CHANNELS, 1, 1)]).output
    if kind == "Multiply per column":
        return network.add_layer("Multiply", [source, vector(1, 6)]).output
    if kind == "Multiply by itself":
        return network.add_layer("Multiply", [source, source]).output
    return network.add_layer(kind, [source]).output


def chain(rng: Any, kinds: list[str], bias: bool = True, groups: int = 1) -> Network:
    """A convolution and the layers of these kinds behind it."""
    network = Network("folding")
    x = network.add_input("x", "float32", [2, 4, 6, 6])
    weights = rng.standard_normal((CHANNELS, 4 // groups, 3, 3)).astype(np.float32)
    inputs = [x, weights]
    if bias:
        inputs.append(rng.standard_normal(CHANNELS).astype(np.float32))
    y = network.add_layer(
        "Convolution", inputs, name="conv", padding=(1, 1, 1, 1), groups=groups
    ).output
    for kind in kinds:
        y = followers(network, rng, y, kind)
    network.mark_output(y, "y")
    return network


def simplified(network: Network) -> list[str]:
    """The types of the layers that simplification leaves."""
    working = copy_network(network)
    simplify(working)
    return [layer.plugin.type for layer in working.layers]


FOLDING = ["BatchNormalization", "Scale", "Add", "Multiply", "Subtract", "Divide", "Negate"]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", FOLDING)
def test_affine_layers_fold(rng: Any, kind: str, bias: bool, groups: int) -> None:
    network = chain(rng, [kind], bias, groups)
    assert simplified(network) == ["Convolution"]
    x = rng.standard_normal((2, 4, 6, 6)).astype(np.float32)
    (expected,) = network.reference([x])
    with build(network, BuilderConfig(tune="off")) as engine, engine.create_context() as context:
        got = context.execute({"x": x})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_a_whole_chain_folds(rng: Any) -> None:
    assert simplified(chain(rng, FOLDING)) == ["Convolution"]


@pytest.mark.parametrize("kind", ["Multiply per column", "Multiply by itself", "ReLU", "Exp"])
def test_others_stay(rng: Any, kind: str) -> None:
    assert len(simplified(chain(rng, [kind]))) == 2


def test_a_tensor_that_others_read_stays(rng: Any) -> None:
    network = chain(rng, [])
    convolved = network.layers[0].output
    network.mark_output(followers(network, rng, convolved, "Scale"), "scaled")
    assert simplified(network) == ["Convolution", "Scale"]


@pytest.mark.parametrize(
    ("padding", "value", "folds"),
    [
        ((0, 0, 1, 2, 0, 0, 0, 3), 0.0, True),
        ((0, 0, 1, 1, 0, 0, 1, 1), 0.5, False),
        ((0, 1, 0, 0, 0, 0, 0, 0), 0.0, False),
        ((0, 0, -1, 0, 0, 0, 0, 0), 0.0, False),
    ],
)
def test_zeros_before_it_become_padding(
    rng: Any, padding: tuple[int, ...], value: float, folds: bool
) -> None:
    network = Network("padded")
    x = network.add_input("x", "float32", [1, 4, 6, 6])
    y = network.add_layer("Pad", [x], padding=padding, value=value).output
    weights = rng.standard_normal((CHANNELS, y.shape[1], 3, 3)).astype(np.float32)
    y = network.add_layer("Convolution", [y, weights], padding=(0, 1, 1, 0)).output
    network.mark_output(y, "y")
    assert simplified(network) == (["Convolution"] if folds else ["Pad", "Convolution"])
    array = rng.standard_normal((1, 4, 6, 6)).astype(np.float32)
    (expected,) = network.reference([array])
    with build(network, BuilderConfig(tune="off")) as engine, engine.create_context() as context:
        got = context.execute({"x": array})["y"]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
