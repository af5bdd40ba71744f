"""Networks of other kinds than the benchmarks', written with the network's own methods and
made-up weights; input "x", any number of entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from plugrt import Network
from plugrt.plugins import Array


class Weights:
    """Normal weights that keep the size of activations."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(11)

    def of(self, *shape: int) -> Array:
        drawn = self._random.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))
        return drawn.astype(np.float32)

    def near_one(self, *shape: int) -> Array:
        return self._random.uniform(0.5, 1.5, shape).astype(np.float32)


def transformer() -> Network:
    """A vision transformer: patches, two blocks of attention with four heads, two classes."""
    width, tokens, heads = 64, 24, 4
    weights, network = Weights(), Network("transformer")
    image = network.add_input("x", "float32", ["N", 3, 64, 96])
    x = network.add_convolution(image, weights.of(width, 3, 16, 16), strides=(16, 16)).output
    x = network.add_reshape(x, shape=(0, width, tokens)).output
    x = network.add_transpose(x, permutation=(0, 2, 1)).output
    x = network.add_add(x, weights.of(1, tokens, width)).output

    def normal(x: Any) -> Any:
        mean = network.add_reduce_mean(x, axes=(-1,)).output
        centred = network.add_subtract(x, mean).output
        squares = network.add_multiply(centred, centred).output
        variance = network.add_reduce_mean(squares, axes=(-1,)).output
        spread = network.add_sqrt(network.add_add(variance, np.float32(1e-5)).output).output
        scaled = network.add_divide(centred, spread).output
        scaled = network.add_multiply(scaled, weights.near_one(width)).output
        return network.add_add(scaled, weights.of(1, width)[0]).output

    def split(x: Any, permutation: tuple[int, ...]) -> Any:
        product = network.add_mat_mul(x, weights.of(width, width)).output
        parts = network.add_reshape(product, shape=(0, tokens, heads, width // heads)).output
        return network.add_transpose(parts, permutation=permutation).output

    for _ in range(2):
        y = normal(x)
        scores = network.add_mat_mul(split(y, (0, 2, 1, 3)), split(y, (0, 2, 3, 1))).output
        scores = network.add_multiply(scores, np.float32((width // heads) ** -0.5)).output
        shares = network.add_softmax(scores, axis=-1).output
        y = network.add_mat_mul(shares, split(y, (0, 2, 1, 3))).output
        y = network.add_transpose(y, permutation=(0, 2, 1, 3)).output
        y = network.add_reshape(y, shape=(0, tokens, width)).output
        y = network.add_mat_mul(y, weights.of(width, width)).output
        x = network.add_add(x, y).output
        y = network.add_mat_mul(normal(x), weights.of(width, 4 * width)).output
        y = network.add_gelu(network.add_add(y, weights.of(1, 4 * width)[0]).output).output
        y = network.add_mat_mul(y, weights.of(4 * width, width)).output
        x = network.add_add(x, y).output
    x = network.add_reduce_mean(normal(x), axes=(1,), keep_dims=False).output
    network.mark_output(network.add_fully_connected(x, weights.of(2, width)).output, "y")
    return network


def segmenting() -> Network:
    """Down by pooling and up again beside the way around, as a U-Net: a mask."""
    weights, network = Weights(), Network("segmenting")
    x = network.add_input("x", "float32", ["N", 3, 48, 80])

    def pair(x: Any, channels: int, filters: int) -> Any:
        for source in (channels, filters):
            made = network.add_convolution(
                x, weights.of(filters, source, 3, 3), weights.of(1, filters)[0],
                padding=(1, 1, 1, 1),
            )  # fmt: skip
            x = network.add_elu(made.output).output
        return x

    ways, channels = [], 3
    for filters in (12, 24, 40):
        x = pair(x, channels, filters)
        ways.append((x, filters))
        x = network.add_average_pooling(x, kernel=(2, 2), strides=(2, 2)).output
        channels = filters
    for around, filters in reversed(ways):
        x = network.add_upsample(x, scales=(2, 2)).output
        x = network.add_concatenation([x, around], axis=1).output
        x = pair(x, channels + filters, filters)
        channels = filters
    mask = network.add_convolution(x, weights.of(1, channels, 1, 1)).output
    network.mark_output(network.add_sigmoid(mask).output, "y")
    return network


def shuffling() -> Network:
    """Groups whose channels are shuffled, halves that go their own way, gates over channels."""
    weights, network = Weights(), Network("shuffling")
    x = network.add_input("x", "float32", ["N", 3, 56, 56])
    x = network.add_convolution(
        x, weights.of(32, 3, 3, 3), padding=(1, 1, 1, 1), strides=(2, 2)
    ).output
    x = network.add_hard_swish(x).output
    for _ in range(2):
        kept, x = network.add_split(x, axis=1, sizes=(16, 16)).outputs
        x = network.add_convolution(x, weights.of(16, 8, 1, 1), groups=2).output
        x = network.add_relu(x).output
        x = network.add_convolution(
            x, weights.of(16, 1, 5, 5), padding=(2, 2, 2, 2), groups=16
        ).output
        gate = network.add_global_average_pooling(x).output
        gate = network.add_convolution(gate, weights.of(4, 16, 1, 1)).output
        gate = network.add_swish(gate).output
        gate = network.add_convolution(gate, weights.of(16, 4, 1, 1)).output
        gate = network.add_hard_sigmoid(gate).output
        x = network.add_multiply(x, gate).output
        x = network.add_concatenation([kept, x], axis=1).output
        x = network.add_reshape(x, shape=(0, 2, 16, 28, 28)).output
        x = network.add_transpose(x, permutation=(0, 2, 1, 3, 4)).output
        x = network.add_reshape(x, shape=(0, 32, 28, 28)).output
    x = network.add_prelu(x, weights.near_one(32, 1, 1)).output
    x = network.add_global_max_pooling(x).output
    network.mark_output(network.add_log_softmax(x, axis=1).output, "y")
    return network


def signals() -> Network:
    """Convolutions over one axis and over three, dilated, padded, and functions of all kinds."""
    weights, network = Weights(), Network("signals")
    x = network.add_input("x", "float32", ["N", 6, 4, 96])
    flat = network.add_reshape(x, shape=(0, 24, 96)).output
    y = network.add_convolution(
        flat, weights.of(32, 24, 5), weights.of(1, 32)[0], dilations=(3,), padding=(6, 6)
    ).output
    y = network.add_tanh(y).output
    y = network.add_max_pooling(y, kernel=(3,), strides=(2,)).output
    cube = network.add_reshape(x, shape=(0, 2, 12, 4, 24)).output
    z = network.add_convolution(cube, weights.of(8, 2, 3, 3, 3), padding=(1,) * 6).output
    z = network.add_softplus(z).output
    z = network.add_reduce_max(z, axes=(2,), keep_dims=False).output
    z = network.add_pad(z, padding=(0, 0, 1, 2, 0, 0, 2, 1), value=0.5).output
    z = network.add_negate(network.add_abs(network.add_sin(z).output).output).output
    z = network.add_log(network.add_add(network.add_exp(z).output, np.float32(1)).output).output
    z = network.add_slice(z, starts=(1, 25), ends=(6, 1), axes=(2, 3), steps=(2, -3)).output
    network.mark_output(y, "lines")
    network.mark_output(z, "cubes")
    return network


def choosing() -> Network:
    """Comparisons, choices, and rows of a table that are looked up by the largest entry."""
    weights, network = Weights(), Network("choosing")
    x = network.add_input("x", "float32", ["N", 40])
    y = network.add_fully_connected(x, weights.of(24, 40), weights.of(1, 24)[0]).output
    large = network.add_greater(y, np.float32(0)).output
    y = network.add_where(large, y, network.add_multiply(y, y).output).output
    place = network.add_arg_max(x, axis=1, keep_dims=False).output
    rows = network.add_gather(weights.of(40, 24), place, axis=0).output
    count = network.add_reduce_sum(network.add_cast(large, to="float32").output, axes=(1,)).output
    network.mark_output(network.add_add(network.add_add(y, rows).output, count).output, "y")
    return network


def enlarging() -> Network:
    """Dilated convolutions between sums with pictures twice as large at the end: channels become
    pixels."""
    weights, network = Weights(), Network("enlarging")
    x = network.add_input("x", "float32", ["N", 3, 30, 44])
    x = network.add_subtract(x, weights.of(3, 1, 1)).output
    x = network.add_convolution(x, weights.of(24, 3, 5, 5), padding=(2,) * 4).output
    for dilation in (1, 2, 3):
        y = network.add_prelu(x, weights.near_one(24, 1, 1)).output
        y = network.add_convolution(
            y, weights.of(24, 24, 3, 3), dilations=(dilation,) * 2, padding=(dilation,) * 4
        ).output
        y = network.add_batch_normalization(
            y, weights.near_one(24), weights.of(1, 24)[0], weights.of(1, 24)[0],
            weights.near_one(24),
        ).output  # fmt: skip
        x = network.add_add(x, network.add_selu(y).output).output
    x = network.add_convolution(x, weights.of(12, 24, 3, 3), padding=(1,) * 4).output
    x = network.add_reshape(x, shape=(0, 3, 2, 2, 30, 44)).output
    x = network.add_transpose(x, permutation=(0, 1, 4, 2, 5, 3)).output
    x = network.add_reshape(x, shape=(0, 3, 60, 88)).output
    network.mark_output(network.add_clip(x, minimum=-1.0, maximum=1.0).output, "y")
    return network


def mixing() -> Network:
    """A mixer: products along places and along channels, in turns, with norms of groups."""
    width, places = 48, 49
    weights, network = Weights(), Network("mixing")
    x = network.add_input("x", "float32", ["N", 3, 56, 56])
    x = network.add_convolution(x, weights.of(width, 3, 8, 8), strides=(8, 8)).output
    x = network.add_reshape(x, shape=(0, width, places)).output
    for _ in range(2):
        groups = network.add_reshape(x, shape=(0, 4, width // 4 * places)).output
        mean = network.add_reduce_mean(groups, axes=(2,)).output
        centred = network.add_subtract(groups, mean).output
        power = network.add_power(centred, np.float32(2)).output
        spread = network.add_sqrt(network.add_reduce_mean(power, axes=(2,)).output).output
        y = network.add_divide(centred, network.add_add(spread, np.float32(1e-3)).output).output
        y = network.add_reshape(y, shape=(0, width, places)).output
        y = network.add_multiply(y, weights.near_one(width, 1)).output
        y = network.add_mat_mul(y, weights.of(places, places)).output
        x = network.add_add(x, network.add_mish(y).output).output
        y = network.add_transpose(x, permutation=(0, 2, 1)).output
        y = network.add_mat_mul(y, weights.of(width, 2 * width)).output
        y = network.add_mat_mul(network.add_gelu(y).output, weights.of(2 * width, width)).output
        y = network.add_transpose(y, permutation=(0, 2, 1)).output
        x = network.add_add(x, y).output
    x = network.add_reduce_mean(x, axes=(2,), keep_dims=False).output
    network.mark_output(network.add_softmax(x, axis=1).output, "y")
    return network


def bytes_in() -> Network:
    """Bytes are made floats in the network, squared, turned over and joined with what they were;
    ranges of rows are taken out and put back in another order."""
    weights, network = Weights(), Network("bytes")
    raw = network.add_input("x", "float32", ["N", 4, 20, 36])
    raw = network.add_cast(network.add_multiply(raw, np.float32(255)).output, to="uint8").output
    x = network.add_multiply(
        network.add_cast(raw, to="float32").output, np.float32(1 / 255)
    ).output
    upper = network.add_slice(x, starts=(0,), ends=(10,), axes=(2,)).output
    lower = network.add_slice(x, starts=(10,), ends=(20,), axes=(2,)).output
    turned = network.add_concatenation([lower, upper], axis=2).output
    x = network.add_concatenation([turned, network.add_multiply(x, x).output, x], axis=1).output
    y = network.add_convolution(x, weights.of(20, 12, 1, 7), padding=(0, 3, 0, 3)).output
    z = network.add_convolution(x, weights.of(20, 12, 7, 1), padding=(3, 0, 3, 0)).output
    x = network.add_maximum(y, z).output
    x = network.add_lrn(x, size=5, alpha=1e-2, beta=0.75).output
    x = network.add_average_pooling(
        x, kernel=(3, 3), strides=(2, 2), padding=(1,) * 4, count_include_padding=True
    ).output
    x = network.add_minimum(x, np.float32(0.5)).output
    network.mark_output(network.add_flatten(x).output, "y")
    return network


def of_any_size() -> Network:
    """A map as large as the picture, and what its columns are, for pictures of all sizes."""
    weights, network = Weights(), Network("of any size")
    x = network.add_input("x", "float32", ["N", 3, "H", "W"])
    x = network.add_convolution(
        x, weights.of(16, 3, 3, 3), strides=(2, 2), padding=(1,) * 4
    ).output
    x = network.add_leaky_relu(x, slope=0.1).output
    y = network.add_convolution(x, weights.of(16, 16, 3, 3), padding=(1,) * 4).output
    x = network.add_add(x, network.add_mish(y).output).output
    y = network.add_convolution(x, weights.of(16, 1, 3, 3), padding=(1,) * 4, groups=16).output
    y = network.add_max_pooling(y, kernel=(5, 5), padding=(2,) * 4).output
    x = network.add_concatenation([x, y], axis=1).output
    x = network.add_upsample(x, scales=(2, 2)).output
    network.mark_output(x, "map")
    x = network.add_reduce_mean(x, axes=(2,), keep_dims=False).output
    x = network.add_transpose(x, permutation=(0, 2, 1)).output
    x = network.add_mat_mul(x, weights.of(32, 7)).output
    network.mark_output(network.add_softmax(x, axis=-1).output, "columns")
    return network


COMPOSED: Mapping[str, Callable[[], Network]] = {
    made.__name__: made
    for made in (
        transformer, segmenting, shuffling, signals, choosing, enlarging, mixing, bytes_in
    )
}  # fmt: skip
