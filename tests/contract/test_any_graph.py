"""Whatever the graph and whatever the tuner chooses: fused equals unfused equals NumPy.

Graphs of what the simplification moves, cancels and absorbs, some with channels last as
TensorFlow has them; times are drawn at random, of layers, of regions apart and of alternatives.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugrt import BuilderConfig, Engine, Network, Tensor, build
from plugrt.core.builder.network_timer import NetworkTimer
from plugrt.core.tuning.timer import Timer

Draw = Callable[[st.SearchStrategy[Any]], Any]

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
MOST_ELEMENTS = 4096


def sizes(tensor: Tensor) -> tuple[int, ...]:
    """All sizes but the batch's."""
    return tuple(int(size) for size in tensor.shape[1:])  # type: ignore[call-overload]


def constant(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def transposed(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    order = draw(st.sampled_from([TO_LAST, TO_FIRST, (0, 2, 1, 3), (0, 1, 2, 3)]))
    return net.add_transpose(x, permutation=order).output


def convolution(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    """With channels last outside, half of the times."""
    outside = draw(st.booleans())
    y = net.add_transpose(x, permutation=TO_FIRST).output if outside else x
    channels = sizes(y)[0]
    size = min(draw(st.sampled_from([1, 3])), *sizes(y)[1:])
    depthwise = draw(st.integers(0, 3)) == 0
    filters = channels if depthwise else draw(st.sampled_from([4, 16]))
    weights = constant(filters, 1 if depthwise else channels, size, size)
    y = net.add_convolution(
        y, weights / np.sqrt(np.float32(weights[0].size)), constant(filters),
        padding=draw(st.sampled_from([(), (1, 1, 1, 1), (0, 1, 1, 0)])),
        groups=channels if depthwise else 1,
    ).output  # fmt: skip
    return net.add_transpose(y, permutation=TO_LAST).output if outside else y


def pointwise(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    kind = draw(st.sampled_from(["ReLU", "Tanh", "Mish", "Sigmoid"]))
    return net.add_layer(kind, [x]).output


def binary(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    a, b, c = sizes(x)
    shape = draw(st.sampled_from([(c,), (b, 1), (a, 1, 1), (1, a, 1, 1), ()]))
    same = [other for other in others if other.shape == x.shape]
    other = draw(st.sampled_from([constant(*shape), *same]))
    kind = draw(st.sampled_from(["Add", "Multiply", "Sum"]))
    return net.add_layer(kind, [x, other]).output


def norm(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    axis = draw(st.integers(1, 3))
    count = sizes(x)[axis - 1]
    return net.add_scale(x, constant(count), constant(count), axis=axis).output


def gated(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    gate = net.add_sigmoid(net.add_global_average_pooling(x).output).output
    return net.add_multiply(x, gate).output


def padded(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    border = [0, *(draw(st.integers(0, 1)) for _ in range(3))]
    padding = (*border, *(draw(st.sampled_from([0, 0, 1])) * b for b in border))
    return net.add_pad(x, padding=padding, value=draw(st.sampled_from([0.0, 0.0, 1.0]))).output


def pooled(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    extent = min(2, *sizes(x)[1:])
    options = {
        "kernel": (extent, extent), "strides": (draw(st.integers(1, 2)),) * 2,
        "ceil_mode": draw(st.booleans()),
    }  # fmt: skip
    kind = draw(st.sampled_from(["MaxPooling", "AveragePooling"]))
    return net.add_layer(kind, [x], **options).output


def joined(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    axis = draw(st.integers(1, 3))
    fitting = [
        other for other in others
        if all(m == n for k, (m, n) in enumerate(zip(x.shape, other.shape, strict=True))
               if k != axis)
    ]  # fmt: skip
    more = draw(st.lists(st.sampled_from([x, *fitting]), min_size=1, max_size=2))
    return net.add_concatenation([x, *more], axis=axis).output


def cut(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    """Two pieces, one of them, or both again."""
    axis = draw(st.integers(1, 3))
    whole = sizes(x)[axis - 1]
    at = draw(st.integers(1, whole)) if draw(st.booleans()) or whole == 1 else whole // 2
    if at == whole:
        return net.add_slice(x, starts=(0,), ends=(whole,), axes=(axis,)).output
    first, second = net.add_split(x, axis=axis, sizes=(at, whole - at)).outputs
    both = [net.add_concatenation(pair, axis=axis).output
            for pair in ([first, second], [second, first])]  # fmt: skip
    return draw(st.sampled_from([first, second, *both]))


def reshaped(net: Network, x: Tensor, others: list[Tensor], draw: Draw) -> Tensor:
    a, b, c = sizes(x)
    flat = net.add_reshape(x, shape=(0, -1)).output
    return net.add_reshape(flat, shape=draw(st.sampled_from([(0, a, b, c), (0, c, a, b)]))).output


STEPS = (
    transposed, transposed, convolution, convolution, convolution, pointwise, pointwise, binary,
    norm, gated, padded, padded, pooled, joined, cut, reshaped,
)  # fmt: skip


@st.composite
def networks(draw: Any) -> Network:
    """Up to a dozen steps, most of them one behind the other."""
    net = Network("random")
    x = net.add_input("x", "float32", ["N", 4, 6, 5])
    seen = [x]
    for _ in range(draw(st.integers(2, 12))):
        y = draw(st.sampled_from(STEPS))(net, x, seen, draw)
        if np.prod(sizes(y)) <= MOST_ELEMENTS:
            x = y
            seen.append(y)
        if draw(st.integers(0, 5)) == 0:
            x = draw(st.sampled_from(seen))
    net.mark_output(seen[-1], "y")
    if draw(st.integers(0, 2)) == 0:
        net.mark_output(draw(st.sampled_from(seen)), "shown")
    return net


def check(network: Network, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with fusion and random times, and without; compare."""
    draw = random.Random(seed)
    times: dict[str, float] = {}

    def seconds(timer: Timer, layer: Any, candidate: Any, best: float = inf) -> float:
        key = timer.key(layer.plugin, candidate, layer.epilogue)
        return times.setdefault(key, draw.random() * 1e-4)

    image = np.random.default_rng(seed).standard_normal((2, 4, 6, 5)).astype(np.float32)
    wanted = network.reference([image])
    with monkeypatch.context() as patch:
        patch.setattr(Timer, "seconds", seconds)
        patch.setattr(NetworkTimer, "seconds", lambda *parts: (draw.random(), draw.random()))
        config = {"max_batch_size": 2, "threads": 2}
        with (
            build(network, BuilderConfig(**config)) as fused,
            build(network, BuilderConfig(**config, tune="off", fusion=False)) as apart,
            Engine.from_bytes(fused.to_bytes()) as loaded,
        ):
            for engine in (fused, apart, loaded):
                results = engine.create_context().execute({"x": image})
                assert list(results) == network.output_names
                for name, expected in zip(network.output_names, wanted, strict=True):
                    scale = max(1.0, float(np.abs(np.asarray(expected)).max()))
                    np.testing.assert_allclose(results[name], expected, rtol=0, atol=3e-5 * scale)


ANYTHING = settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ANYTHING
@given(network=networks(), seed=st.integers(0, 2**20))
def test_random_graphs(network: Network, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(network, seed, monkeypatch)


@pytest.mark.slow
@settings(ANYTHING, max_examples=600)
@given(network=networks(), seed=st.integers(0, 2**20))
def test_many_random_graphs(network: Network, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(network, seed, monkeypatch)
