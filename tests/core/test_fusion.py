"""Fusion: what joins what, and what must stay apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, Network, Tensor

Random = np.random.Generator
Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


def convolution(net: Network, x: Tensor, name: str, rng: Random) -> Tensor:
    channels = int(x.shape[1])  # type: ignore[call-overload]
    weights = rng.standard_normal((channels, channels, 3, 3)).astype(np.float32) / 6
    return net.add_convolution(x, weights, name=name, padding=(1,) * 4).output


def regions(engine: Engine) -> dict[str, list[str]]:
    """What is fused into each layer, but for layers that the core has inserted."""
    layers = engine.planned.network.layers
    return {layer.name: layer.fused for layer in layers if layer.plugin.role is None}


@pytest.fixture
def x(network: Network) -> Tensor:
    return network.add_input("x", "float32", [2, 8, 6, 6])


@pytest.fixture
def feeds(rng: Random) -> dict[str, Any]:
    return {"x": rng.standard_normal((2, 8, 6, 6)).astype(np.float32)}


def test_chains_become_one_layer(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    y = convolution(network, x, "conv", rng)
    y = network.add_tanh(y, name="tanh").output
    y = network.add_multiply(y, rng.standard_normal((1, 8, 1, 1)).astype(np.float32),
                             name="scaled").output  # fmt: skip
    network.mark_output(network.add_sigmoid(y, name="y").output)
    engine = quick_build(network)
    assert regions(engine) == {"conv": ["tanh", "scaled", "y"]}
    assert engine.planned.network.output_names == ["y"]
    assert regions(quick_build(network, fusion=False)) == {
        name: [] for name in ("conv", "tanh", "scaled", "y")
    }
    agree(network, feeds)
    agree(network, feeds, fusion=False)


def test_pointwise_layers_fuse_without_anything_before_them(
    network: Network, x: Tensor, quick_build: Build, agree: Run, feeds: Any
) -> None:
    y = network.add_exp(x, name="exp").output
    y = network.add_divide(y, network.add_abs(x, name="abs").output, name="ratio").output
    network.mark_output(network.add_sqrt(y, name="y").output)
    assert list(regions(quick_build(network)).values()) == [[], ["ratio", "y"]]
    agree(network, feeds)


def test_a_residual_goes_to_the_later_producer(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    first = convolution(network, x, "first", rng)
    second = convolution(network, x, "second", rng)
    y = network.add_add(first, second, name="sum").output
    network.mark_output(network.add_relu(y, name="y").output)
    assert regions(quick_build(network)) == {"first": [], "second": ["sum", "y"]}
    agree(network, feeds)


def test_the_earlier_producer_takes_what_the_later_one_cannot(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    first = convolution(network, x, "first", rng)
    turned = network.add_transpose(x, permutation=(0, 1, 3, 2), name="turned").output
    y = network.add_add(first, turned, name="sum").output
    network.mark_output(network.add_relu(y, name="y").output)
    engine = quick_build(network)
    assert regions(engine) == {"turned": [], "first": ["sum", "y"]}
    agree(network, feeds)


def test_values_that_others_read_are_not_swallowed(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    shown = convolution(network, x, "shown", rng)
    network.mark_output(shown)
    network.mark_output(network.add_relu(shown, name="behind output").output)
    shared = convolution(network, x, "shared", rng)
    for name, alpha in (("one", 1.0), ("two", 2.0)):
        y = network.add_elu(shared, alpha=alpha, name=name).output
        network.mark_output(convolution(network, y, f"after {name}", rng))
    found = regions(quick_build(network))
    assert all(fused == [] for fused in found.values())
    assert len(found) == 7
    agree(network, feeds, 1e-4)


def test_diamonds_never_become_cycles(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    """`last` reads `conv` twice: directly, and through a layer that cannot be fused."""
    y = convolution(network, x, "conv", rng)
    around = network.add_softmax(network.add_relu(y, name="relu").output, name="softmax").output
    network.mark_output(network.add_multiply(y, around, name="last").output)
    found = regions(quick_build(network))
    assert found["conv"] == []
    assert "last" in {name for fused in found.values() for name in fused} | set(found)
    agree(network, feeds)


def test_an_operand_that_depends_on_the_carried_value(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any
) -> None:
    y = convolution(network, x, "conv", rng)
    gate = network.add_global_average_pooling(y, name="gate").output
    network.mark_output(network.add_multiply(y, gate, name="gated").output)
    assert regions(quick_build(network))["conv"] == []
    agree(network, feeds)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (8, 1, 1), (1, 8, 1, 1), (2, 1, 1, 1),
                                   (1, 1, 6, 1), (2, 8, 6, 6)])  # fmt: skip
@pytest.mark.parametrize("carried", [0, 1])
def test_operands_broadcast(
    network: Network, x: Tensor, rng: Random, quick_build: Build, agree: Run, feeds: Any,
    shape: tuple[int, ...], carried: int,
) -> None:
    other = network.add_input("other", "float32", list(shape))
    y = network.add_tanh(x, name="tanh").output
    pair = [y, other] if carried == 0 else [other, y]
    network.mark_output(network.add_layer("Subtract", pair, name="y").output)
    assert regions(quick_build(network)) == {"tanh": ["y"]}
    agree(network, {**feeds, "other": rng.standard_normal(shape).astype(np.float32)})


def test_a_layer_that_widens_its_input_stays(
    network: Network, quick_build: Build, agree: Run
) -> None:
    """The smaller value broadcasts to a larger output: there is no one element to continue."""
    row = network.add_input("row", "float32", [6])
    wide = network.add_input("wide", "float32", [4, 6])
    y = network.add_exp(row, name="exp").output
    network.mark_output(network.add_add(y, wide, name="y").output)
    assert regions(quick_build(network)) == {"exp": [], "y": []}
    ones = np.ones((4, 6), np.float32)
    agree(network, {"row": ones[0], "wide": ones})


def test_comparisons_change_the_type(
    network: Network, x: Tensor, rng: Random, agree: Run, feeds: Any
) -> None:
    y = convolution(network, x, "conv", rng)
    positive = network.add_greater(y, 0.0, name="positive").output
    network.mark_output(network.add_where(positive, x, np.float32(-1), name="y").output)
    network.mark_output(network.add_not(positive, name="negative").output)
    results = agree(network, feeds)
    assert results["negative"].dtype == bool


def test_integers_wrap_where_they_would_be_stored(network: Network, agree: Run) -> None:
    x = network.add_input("x", "int8", [4])
    y = network.add_input("y", "int8", [4])
    total = network.add_add(x, y, name="total").output
    network.mark_output(network.add_maximum(total, np.int8(0), name="z").output)
    values = np.array([100, -100, 1, -1], np.int8)
    results = agree(network, {"x": values, "y": values})
    np.testing.assert_array_equal(results["z"], [0, 56, 2, 0])


def test_integers_are_compared_as_integers(network: Network, agree: Run) -> None:
    """A float operand behind the comparison must not make it one of floats."""
    x = network.add_input("x", "int32", [2])
    limit = network.add_input("limit", "int32", [2])
    chosen = network.add_greater(x, limit, name="greater").output
    network.mark_output(
        network.add_where(chosen, np.float32(1.5), np.float32(-1.5), name="y").output
    )
    feeds = {"x": np.array([2**24 + 1, 5], np.int32), "limit": np.array([2**24, 5], np.int32)}
    results = agree(network, feeds)
    np.testing.assert_array_equal(results["y"], [1.5, -1.5])


def test_long_chains_end(network: Network, x: Tensor, quick_build: Build, agree: Run,
                         feeds: Any) -> None:  # fmt: skip
    y = x
    for k in range(40):
        y = network.add_add(y, np.float32(k), name=f"add{k}").output
    network.mark_output(y)
    found = regions(quick_build(network))
    assert len(found) < 10
    assert sum(map(len, found.values())) + len(found) == 40
    agree(network, feeds)


def test_bodies_are_fused(network: Network, quick_build: Build, rng: Random) -> None:
    body = Network("body", network.registry)
    inner = body.add_input("x", "float32", [1, 4, 5, 5])
    y = convolution(body, inner, "conv", rng)
    body.mark_output(body.add_relu(y, name="relu").output)
    flag = network.add_input("flag", "bool", [])
    outer = network.add_input("x", "float32", [1, 4, 5, 5])
    chosen = network.add_layer("If", [flag, outer], then_body=body, else_body=body).output
    network.mark_output(chosen, "y")
    engine = quick_build(network)
    for planned in engine.planned.bodies.values():
        fused = [layer.fused for layer in planned.network.layers if not layer.plugin.role]
        assert fused == [["relu"]]
