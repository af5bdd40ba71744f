"""Transposes and reshapes: what cancels, what moves, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt import Network, Tensor
from plugrt.core.passes.copying import copy_network
from plugrt.core.passes.simplify import simplify

Random = np.random.Generator
Run = Callable[..., dict[str, Any]]

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def left(network: Network) -> list[str]:
    """Types of the layers after simplification."""
    copy = copy_network(network)
    simplify(copy)
    return [layer.plugin.type for layer in copy.layers]


def drawn(rng: Random, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


def convolution(net: Network, x: Tensor, filters: int, rng: Random, size: int = 3) -> Tensor:
    """As TensorFlow models have it: channels last outside."""
    x = net.add_transpose(x, permutation=TO_FIRST).output
    weights = drawn(rng, filters, int(x.shape[1]), size, size)  # type: ignore[call-overload]
    x = net.add_convolution(x, weights / 6, padding=(size // 2,) * 4).output
    return net.add_transpose(x, permutation=TO_LAST).output


@pytest.fixture
def image(network: Network) -> Tensor:
    return network.add_input("x", "float32", ["N", 6, 7, 4])


@pytest.fixture
def feeds(rng: Random) -> dict[str, Any]:
    return {"x": drawn(rng, 2, 6, 7, 4)}


def test_transposes_that_do_nothing_go(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    y = network.add_transpose(image, permutation=(0, 1, 2, 3)).output
    y = network.add_transpose(y, permutation=TO_FIRST).output
    y = network.add_transpose(y, permutation=TO_LAST).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["Exp"]
    agree(network, feeds)


def test_neighbours_are_composed(network: Network, image: Tensor, agree: Run, feeds: Any) -> None:
    y = image
    for _ in range(4):
        y = network.add_transpose(y, permutation=(1, 2, 0, 3)).output
    network.mark_output(y, "y")
    assert left(network) == ["Transpose"]
    agree(network, feeds)


def test_an_output_that_is_the_input_again_is_copied_once(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    y = network.add_transpose(image, permutation=TO_FIRST).output
    network.mark_output(network.add_transpose(y, permutation=TO_LAST).output, "y")
    assert left(network) == ["Transpose"]
    agree(network, feeds)


def test_a_channels_last_network(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any
) -> None:
    """Biases, slopes, residuals, pads, concatenations and norms lie between convolutions."""
    y = network.add_relu(convolution(network, image, 8, rng)).output
    for _ in range(2):
        z = convolution(network, y, 8, rng)
        z = network.add_add(z, drawn(rng, 8)).output
        z = network.add_layer("PReLU", [z, drawn(rng, 1, 1, 8)]).output
        z = network.add_pad(z, padding=(0, 1, 0, 0, 0, 0, 1, 0)).output
        z = network.add_slice(z, starts=(1, 0), ends=(7, 7), axes=(1, 2)).output
        z = convolution(network, z, 8, rng)
        statistics = [np.abs(drawn(rng, 8)) + 0.5 for _ in range(4)]
        z = network.add_batch_normalization(z, *statistics, axis=3).output
        y = network.add_relu(network.add_add(y, z).output).output
    y = network.add_concatenation([y, convolution(network, y, 8, rng)], axis=-1).output
    network.mark_output(convolution(network, y, 8, rng), "y")
    types = left(network)
    assert types.count("Transpose") == 2
    assert types[0] == types[-1] == "Transpose"
    assert "BatchNormalization" not in types
    agree(network, feeds, 1e-4)


def test_what_stands_between_a_convolution_and_its_activation_moves(
    network: Network, image: Tensor, rng: Random, quick_build: Any, agree: Run, feeds: Any
) -> None:
    y = network.add_relu(convolution(network, image, 8, rng), name="relu").output
    network.mark_output(network.add_softmax(y, axis=-1, name="y").output)
    fused = {layer.name: layer.fused for layer in quick_build(network).planned.network.layers}
    assert fused["convolution"] == ["relu"]
    agree(network, feeds)


def test_what_others_read_stays_as_it_is(
    network: Network, image: Tensor, rng: Random, agree: Run, feeds: Any
) -> None:
    y = network.add_relu(convolution(network, image, 8, rng), name="shown").output
    network.mark_output(y)
    network.mark_output(convolution(network, y, 8, rng), "y")
    types = left(network)
    assert types.count("Transpose") == 3  # the image, the output within, the output
    agree(network, feeds)


@pytest.mark.parametrize("operand", [(7, 1), (4,), (6, 1, 1), (2, 6, 7, 4), ()])
def test_operands_that_broadcast(
    network: Network, rng: Random, agree: Run, operand: tuple[int, ...]
) -> None:
    x = network.add_input("x", "float32", [2, 6, 7, 4])
    y = network.add_transpose(network.add_exp(x).output, permutation=TO_FIRST).output
    y = network.add_transpose(network.add_tanh(y).output, permutation=TO_LAST).output
    y = network.add_transpose(network.add_multiply(y, drawn(rng, *operand)).output,
                              permutation=TO_FIRST).output  # fmt: skip
    network.mark_output(network.add_sigmoid(y, name="y").output)
    assert left(network).count("Transpose") == 1
    agree(network, {"x": drawn(rng, 2, 6, 7, 4)})


def test_unlike_transposes_of_a_sum_stay(
    network: Network, rng: Random, agree: Run
) -> None:
    x = network.add_input("x", "float32", [2, 3, 3, 3])
    a = network.add_transpose(network.add_exp(x).output, permutation=(0, 2, 3, 1)).output
    b = network.add_transpose(network.add_abs(x).output, permutation=(0, 3, 1, 2)).output
    network.mark_output(network.add_add(a, b, name="y").output)
    assert left(network).count("Transpose") == 2
    agree(network, {"x": drawn(rng, 2, 3, 3, 3)})


def test_reshapes_are_merged(network: Network, image: Tensor, agree: Run, feeds: Any) -> None:
    y = network.add_reshape(image, shape=(0, 42, 4)).output
    y = network.add_unsqueeze(y, axes=(1,)).output
    y = network.add_flatten(y).output
    y = network.add_reshape(y, shape=(-1, 14, 3, 4)).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["Reshape", "Exp"]
    agree(network, feeds)


def test_reshapes_back_to_the_same_shape_go(
    network: Network, image: Tensor, agree: Run, feeds: Any
) -> None:
    y = network.add_reshape(image, shape=(0, -1)).output
    y = network.add_reshape(y, np.array([0, 6, 7, 4], np.int64)).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["Exp"]
    agree(network, feeds)


def test_transposes_of_ones_are_reshapes(network: Network, rng: Random, agree: Run) -> None:
    x = network.add_input("x", "float32", ["N", 8, 5, 5])
    y = network.add_global_average_pooling(x).output
    y = network.add_transpose(y, permutation=TO_LAST).output
    y = network.add_squeeze(y, axes=(1, 2)).output
    network.mark_output(network.add_exp(y, name="y").output)
    assert left(network) == ["GlobalAveragePooling", "Reshape", "Exp"]
    agree(network, {"x": drawn(rng, 3, 8, 5, 5)})


@pytest.mark.parametrize("flattened", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_a_fully_connected_layer_takes_any_order(
    network: Network, rng: Random, agree: Run, flattened: bool, last: bool
) -> None:
    x = network.add_input("x", "float32", ["N", 4, 3, 5])
    y = network.add_max_pooling(x, kernel=(1, 2)).output
    y = network.add_transpose(y, permutation=TO_LAST).output if last else y
    y = network.add_reshape(y, shape=(0, -1)).output if flattened else y
    weights, bias = drawn(rng, 6, 48), drawn(rng, 6)
    network.mark_output(network.add_fully_connected(y, weights, bias, name="y").output)
    assert left(network) == ["MaxPooling", "FullyConnected"]
    agree(network, {"x": drawn(rng, 3, 4, 3, 5)})


def test_a_reshape_across_images_stays(network: Network, rng: Random, agree: Run) -> None:
    x = network.add_input("x", "float32", [2, 4, 6])
    y = network.add_reshape(x, shape=(4, 12)).output
    y = network.add_fully_connected(y, drawn(rng, 5, 12), name="y").output
    network.mark_output(y)
    assert left(network) == ["Reshape", "FullyConnected"]
    agree(network, {"x": drawn(rng, 2, 4, 6)})


def test_a_transposed_constant_is_one(network: Network, rng: Random, agree: Run) -> None:
    x = network.add_input("x", "float32", [2, 5])
    turned = network.add_transpose(network.add_constant("w", drawn(rng, 3, 5))).output
    network.mark_output(network.add_mat_mul(x, turned, name="y").output)
    assert left(network) == ["MatMul"]
    agree(network, {"x": drawn(rng, 2, 5)})
