"""Pads, norms, pieces and constants: what neighbours take over, and what they must not."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest

from plugrt import Network, Tensor
from plugrt.core.graph import Layer
from plugrt.core.passes.copying import copy_network
from plugrt.core.passes.simplify import simplify

Random = np.random.Generator
Run = Callable[..., dict[str, Any]]


def layers_left(network: Network) -> list[Layer]:
    copy = copy_network(network)
    simplify(copy)
    return copy.layers


def left(network: Network) -> list[str]:
    return [layer.plugin.type for layer in layers_left(network)]


def drawn(rng: Random, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.fixture
def image(network: Network) -> Tensor:
    return network.add_input("x", "float32", ["N", 8, 7, 9])


@pytest.fixture
def feeds(rng: Random) -> dict[str, Any]:
    return {"x": drawn(rng, 2, 8, 7, 9)}


# ---- pads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [(), (1, 0, 0, 2)])
@pytest.mark.parametrize("readers", [1, 2])
def test_zeros_before_a_convolution(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any,
    own: tuple[int, ...], readers: int,
) -> None:  # fmt: skip
    padded = network.add_pad(image, padding=(0, 0, 2, 0, 0, 0, 1, 3)).output
    for _ in range(readers):
        y = network.add_convolution(
            padded, drawn(rng, 4, 8, 3, 3), padding=own, strides=(2, 1)
        ).output
        network.mark_output(y)
    found = layers_left(network)
    assert [layer.plugin.type for layer in found] == ["Convolution"] * readers
    begin = [a + b for a, b in zip(own or (0,) * 4, (2, 0, 1, 3), strict=True)]
    assert found[0].plugin.attribute_values["padding"] == tuple(begin)
    agree(network, feeds)


@pytest.mark.parametrize(("padding", "value"), [
    ((0, 0, 1, 1, 0, 0, 1, 1), 1.0), ((0, 1, 1, 1, 0, 0, 1, 1), 0.0),
    ((0, 0, -1, 1, 0, 0, 1, 1), 0.0), ((0, 0, 1, 1, 1, 0, 1, 1), 0.0),
])  # fmt: skip
def test_pads_that_no_convolution_can_do(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any,
    padding: tuple[int, ...], value: float,
) -> None:  # fmt: skip
    padded = network.add_pad(image, padding=padding, value=value).output
    weights = drawn(rng, 4, int(padded.shape[1]), 3, 3)  # type: ignore[call-overload]
    network.mark_output(network.add_convolution(padded, weights, name="y").output)
    assert left(network) == ["Pad", "Convolution"]
    agree(network, feeds)


@pytest.mark.parametrize(("value", "activation", "taken"), [
    (0.0, "ReLU", True), (0.0, None, False), (-inf, None, True), (-1e30, "Tanh", False),
    (-3.4028235e38, None, True), (0.0, "Sigmoid", True), (0.5, "ReLU", False), (-1.0, "ReLU", True),
])  # fmt: skip
@pytest.mark.parametrize("own", [(), (0, 1, 1, 0)])
def test_borders_before_a_maximum(
    network: Network, image: Tensor, agree: Run, feeds: Any, value: float,
    activation: str | None, taken: bool, own: tuple[int, ...],
) -> None:  # fmt: skip
    y = image if activation is None else network.add_layer(activation, [image]).output
    y = network.add_pad(y, padding=(0, 0, 1, 0, 0, 0, 1, 1), value=value).output
    pool = network.add_max_pooling(y, kernel=(3, 3), strides=(2, 1), padding=own, name="y")
    network.mark_output(pool.output)
    assert ("Pad" not in left(network)) is taken
    agree(network, feeds)


@pytest.mark.parametrize(("value", "own", "counted", "taken"), [
    (0.0, (), False, True), (0.0, (), True, True), (0.0, (1, 0, 0, 1), True, True),
    (0.0, (1, 0, 0, 1), False, False), (1.0, (), True, False),
])  # fmt: skip
def test_zeros_before_a_mean(
    network: Network, image: Tensor, agree: Run, feeds: Any, value: float,
    own: tuple[int, ...], counted: bool, taken: bool,
) -> None:  # fmt: skip
    y = network.add_pad(image, padding=(0, 0, 1, 0, 0, 0, 1, 1), value=value).output
    pool = network.add_average_pooling(
        y, kernel=(3, 3), strides=(2, 2), padding=own, count_include_padding=counted, name="y"
    )
    network.mark_output(pool.output)
    assert ("Pad" not in left(network)) is taken
    agree(network, feeds)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("padding", [(2, 0, 0, 2), (1, 1, 3, 3), (0, 0, 2, 2)])
def test_pads_and_windows_that_leave_the_image(
    network: Network, image: Tensor, agree: Run, feeds: Any, padding: tuple[int, ...],
    stride: int, ceil_mode: bool,
) -> None:  # fmt: skip
    """Rounding up, or windows of padding alone: absorbed or not, the values are the same."""
    y = network.add_relu(image).output
    y = network.add_pad(y, padding=(0, 0, *padding[:2], 0, 0, *padding[2:])).output
    for kind in ("MaxPooling", "AveragePooling"):
        made = network.add_layer(
            kind, [y], kernel=(3, 3), strides=(stride,) * 2, ceil_mode=ceil_mode
        )
        network.mark_output(made.output)
    agree(network, feeds)


# ---- scales and shifts ------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("bias", [True, False])
def test_a_norm_before_a_convolution(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any, groups: int, bias: bool
) -> None:
    statistics = [np.abs(drawn(rng, 8)) + 0.5 for _ in range(4)]
    y = network.add_batch_normalization(image, *statistics).output
    y = network.add_scale(y, drawn(rng, 8), drawn(rng, 8)).output
    y = network.add_multiply(np.float32(0.5), y).output
    weights, added = drawn(rng, 16, 8 // groups, 3, 3), drawn(rng, 16) if bias else None
    y = network.add_convolution(y, weights, added, groups=groups, name="y").output
    network.mark_output(y)
    assert left(network) == ["Convolution"]
    agree(network, feeds)


@pytest.mark.parametrize(("shifted", "padded", "taken"), [
    (True, True, False), (False, True, True), (True, False, True),
])  # fmt: skip
def test_padding_is_no_shift(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any,
    shifted: bool, padded: bool, taken: bool,
) -> None:  # fmt: skip
    parameters = [drawn(rng, 8), drawn(rng, 8)] if shifted else [drawn(rng, 8)]
    y = network.add_layer("Scale", [image, *parameters], shifted=shifted).output
    padding = (0, 1, 0, 0) if padded else ()
    y = network.add_convolution(y, drawn(rng, 4, 8, 3, 3), padding=padding, name="y").output
    network.mark_output(y)
    assert (left(network) == ["Convolution"]) is taken
    agree(network, feeds)


def test_a_norm_that_others_read_stays(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any
) -> None:
    y = network.add_scale(image, drawn(rng, 8), drawn(rng, 8)).output
    network.mark_output(network.add_convolution(y, drawn(rng, 4, 8, 1, 1)).output)
    network.mark_output(network.add_softmax(y, axis=1).output)
    assert sorted(left(network)) == ["Convolution", "Scale", "Softmax"]
    agree(network, feeds)


# ---- pieces -----------------------------------------------------------------------------------


def test_all_pieces_side_by_side_are_the_whole(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    pieces = network.add_split(image, axis=1, sizes=(3, 1, 4)).outputs
    y = network.add_concatenation(list(pieces), axis=-3).output
    halves = [network.add_slice(y, starts=(a,), ends=(b,), axes=(3,)).output
              for a, b in ((0, 4), (4, 9))]  # fmt: skip
    y = network.add_concatenation(halves, axis=3).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["Exp"]
    agree(network, feeds)


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (0,)])
def test_other_orders_of_pieces_stay(
    network: Network, image: Tensor, agree: Run, feeds: Any, order: tuple[int, ...]
) -> None:
    pieces = network.add_split(image, axis=1, sizes=(4, 4)).outputs
    y = network.add_concatenation([pieces[k] for k in order], axis=1).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert "Split" in left(network)
    agree(network, feeds)


def test_joins_of_joins_are_one(network: Network, image: Tensor, agree: Run, feeds: Any) -> None:
    a, b, c = (network.add_layer(t, [image]).output for t in ("Exp", "Tanh", "Abs"))
    inner = network.add_concatenation([a, b], axis=1).output
    shown = network.add_concatenation([b, c], axis=1).output
    across = network.add_concatenation([c, c], axis=1).output
    y = network.add_concatenation([inner, across, shown], axis=1, name="y").output
    network.mark_output(y)
    network.mark_output(shown, "shown")
    found = layers_left(network)
    assert [x.plugin.type for x in found].count("Concatenation") == 2
    assert max(len(x.inputs) for x in found) == 5
    agree(network, feeds)


def test_pieces_of_a_join_are_read_before_it(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    a, b = (network.add_layer(t, [image]).output for t in ("Exp", "Tanh"))
    joined = network.add_concatenation([a, b], axis=1).output
    for k, (start, end) in enumerate([(0, 8), (8, 16), (2, 5), (9, 16)]):
        piece = network.add_slice(joined, starts=(start,), ends=(end,), axes=(1,)).output
        network.mark_output(network.add_abs(piece, name=f"y{k}").output)
    assert "Concatenation" not in left(network)
    agree(network, feeds)


def test_a_piece_that_spans_two_inputs_needs_the_join(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    a, b = (network.add_layer(t, [image]).output for t in ("Exp", "Tanh"))
    joined = network.add_concatenation([a, b], axis=1).output
    for piece in network.add_split(joined, axis=1, sizes=(3, 9, 4)).outputs:
        network.mark_output(network.add_abs(piece).output)
    assert "Concatenation" in left(network)
    agree(network, feeds)


def test_a_slice_of_everything_goes(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    y = network.add_slice(image, starts=(0, 0), ends=(2**31 - 1, 9), axes=(0, 3)).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["Exp"]
    agree(network, feeds)


@pytest.mark.parametrize("filters", [(8, 24), (16, 16), (5, 11)])
@pytest.mark.parametrize("batch", [1, 3])
def test_split_and_joined_by_slices(
    network: Network, rng: Random, agree: Run, filters: tuple[int, int], batch: int
) -> None:
    """Pieces of channels, written and read in place in every format that the tuner takes."""
    x = network.add_input("x", "float32", ["N", 16, 6, 6])
    y = network.add_convolution(x, drawn(rng, sum(filters), 16, 1, 1)).output
    first, second = network.add_split(y, axis=1, sizes=filters).outputs
    second = network.add_convolution(second, drawn(rng, filters[0], filters[1], 1, 1)).output
    y = network.add_concatenation([first, second, network.add_relu(first).output], axis=1).output
    network.mark_output(network.add_max_pooling(y, kernel=(2, 2), name="y").output)
    for tune in ("off", "fast"):
        agree(network, {"x": drawn(rng, batch, 16, 6, 6)}, 1e-4, tune=tune)


# ---- constants and sums -----------------------------------------------------------------------


def test_equal_constants_are_kept_once(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any
) -> None:
    weights = drawn(rng, 8, 8, 3, 3)
    y = image
    for scale in (1, 1, 2):
        y = network.add_convolution(y, scale * weights, padding=(1,) * 4).output
    network.mark_output(y, "y")
    copy = copy_network(network)
    report: list[str] = []
    simplify(copy, report.append)
    assert len([t for t in copy.tensors.values() if t.is_constant]) == 2
    assert report == ["constants: 1 equal ones are kept once, which saves 2 KiB"]
    agree(network, feeds, 1e-4)


def test_a_sum_of_two_ends_what_computes_it(
    network: Network, image: Tensor, rng: Random, quick_build: Any, agree: Run, feeds: Any
) -> None:
    y = network.add_convolution(image, drawn(rng, 8, 8, 1, 1), name="conv").output
    network.mark_output(network.add_sum([image, y], name="y").output)
    engine = quick_build(network)
    fused = {layer.name: layer.fused for layer in engine.planned.network.layers}
    assert fused["conv"] == ["y"]
    agree(network, feeds)
