"""Random networks of data movement and arithmetic: engines agree with the references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plugrt
from plugrt import BuilderConfig, Network, ShapeProfile, Tensor

Draw = Callable[[st.SearchStrategy[Any]], Any]
PROFILE = ShapeProfile((1, 16, 4, 6), (2, 16, 4, 6), (4, 16, 4, 6))
QUICK = BuilderConfig(tune="off", profiles={"x": PROFILE})


def slice_(net: Network, x: Tensor, draw: Draw) -> Tensor:
    axis = draw(st.integers(1, len(x.shape) - 1))
    size = int(x.shape[axis])  # type: ignore[call-overload]
    start = draw(st.integers(0, size - 1))
    end = draw(st.integers(start + 1, size))
    return net.add_slice(x, starts=(start,), ends=(end,), axes=(axis,)).output


def split_and_add(net: Network, x: Tensor, draw: Draw) -> Tensor:
    sizes = [int(size) for size in x.shape[1:]]  # type: ignore[call-overload]
    even = [axis for axis, size in enumerate(sizes, start=1) if size % 2 == 0]
    if not even:
        return net.add_negate(x).output
    axis = draw(st.sampled_from(even))
    layer = net.add_split(x, axis=axis, sizes=(sizes[axis - 1] // 2,) * 2)
    return net.add_add(*layer.outputs).output


def transpose(net: Network, x: Tensor, draw: Draw) -> Tensor:
    rest = draw(st.permutations(range(1, len(x.shape))))
    return net.add_transpose(x, permutation=(0, *rest)).output


def reshape(net: Network, x: Tensor, draw: Draw) -> Tensor:
    sizes = draw(st.permutations(x.shape[1:]))
    return net.add_reshape(x, shape=(-1, *sizes)).output


def pad(net: Network, x: Tensor, draw: Draw) -> Tensor:
    border = [0, *(draw(st.integers(0, 1)) for _ in x.shape[1:])]
    return net.add_pad(x, padding=border * 2, value=0.5).output


def branch(net: Network, x: Tensor, draw: Draw) -> Tensor:
    return net.add_sum(x, net.add_identity(x).output, net.add_mish(x).output).output


def squeeze(net: Network, x: Tensor, draw: Draw) -> Tensor:
    return net.add_squeeze(net.add_unsqueeze(x, axes=(2,)).output, axes=(2,)).output


def reduce_(net: Network, x: Tensor, draw: Draw) -> Tensor:
    axis = draw(st.integers(1, len(x.shape) - 1))
    mean = net.add_reduce_mean(x, axes=(axis,)).output
    return net.add_subtract(x, mean).output


def gather(net: Network, x: Tensor, draw: Draw) -> Tensor:
    size = int(x.shape[1])  # type: ignore[call-overload]
    return net.add_gather(x, np.array([size - 1, 0, -1]), axis=1).output


def upsample(net: Network, x: Tensor, draw: Draw) -> Tensor:
    return net.add_upsample(x, scales=(1, 2)).output


def split_and_join(net: Network, x: Tensor, draw: Draw) -> Tensor:
    """Channels cut in two and put together again the other way round."""
    size = int(x.shape[1])  # type: ignore[call-overload]
    first = draw(st.integers(1, size - 1)) if size > 1 else 0
    left, right = net.add_split(x, sizes=(first, size - first)).outputs
    if draw(st.booleans()):
        left = net.add_tanh(left).output
    return net.add_concatenation(right, left).output


def where_positive(net: Network, x: Tensor, draw: Draw) -> Tensor:
    condition = net.add_greater(x, np.zeros((), np.float32)).output
    return net.add_where(condition, x, net.add_exp(x).output).output


def leaky(net: Network, x: Tensor, draw: Draw) -> Tensor:
    return net.add_leaky_re_lu(x).output


STEPS = [
    slice_, split_and_add, transpose, reshape, pad, branch, squeeze, reduce_, gather, upsample,
    split_and_join, where_positive, leaky,
]  # fmt: skip


@settings(max_examples=60)
@given(data=st.data(), steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))
def test_random_chains(data: Any, steps: Any) -> None:
    network = Network()
    x = network.add_input("x", "float32", ["N", 16, 4, 6])
    for step in steps:
        x = step(network, x, data.draw)
    network.mark_output(x, "y")
    with plugrt.build(network, QUICK) as engine, engine.create_context() as context:
        for batch in (1, 3):
            array = np.random.default_rng(batch).normal(size=(batch, 16, 4, 6)).astype(np.float32)
            (expected,) = network.reference([array])
            got = context.execute({"x": array})["y"]
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_sizes_computed_by_layers() -> None:
    """A reshape to [batch, channels * height, width], all computed from Shape."""
    network = Network()
    x = network.add_input("x", "float32", ["N", 3, "H", 5])
    sizes = network.add_shape(x).output
    batch, height = (
        network.add_gather(sizes, np.array([axis])).output for axis in (0, 2)
    )  # fmt: skip
    rows = network.add_multiply(height, np.array([3])).output
    target = network.add_concatenation(batch, rows, np.array([5]), axis=0).output
    network.mark_output(network.add_reshape(x, target).output, "y")
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    with plugrt.build(network) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": array})["y"], array.reshape(2, 12, 5))


@pytest.mark.parametrize("score", [-1.0, 0.5, 2.0])
def test_data_dependent_sizes_in_a_network(score: float, rng: Any) -> None:
    """Selected boxes are gathered: the size is known only after NonMaxSuppression has run."""
    network = Network()
    boxes = network.add_input("boxes", "float32", [1, 30, 4])
    scores = network.add_input("scores", "float32", [1, 2, 30])
    layer = network.add_non_max_suppression(
        boxes, scores, iou_threshold=0.3, score_threshold=score
    )
    index = network.add_gather(layer.outputs[0], np.array(2), axis=1).output
    flat = network.add_reshape(boxes, shape=(30, 4)).output
    network.mark_output(network.add_gather(flat, index).output, "picked")
    network.mark_output(layer.outputs[1], "count")
    network.mark_output(network.add_non_zero(scores).outputs[0], "where")
    b = rng.uniform(0, 1, (1, 30, 4)).astype(np.float32)
    s = np.maximum(rng.uniform(-1, 1, (1, 2, 30)), 0).astype(np.float32)
    selected, count = layer.plugin.reference([b, s])
    with plugrt.build(network) as engine, engine.create_context() as context:
        for _ in range(2):
            result = context.execute({"boxes": b, "scores": s})
            assert result["count"] == count
            np.testing.assert_array_equal(result["picked"], b[0][selected[:, 2]])
            np.testing.assert_array_equal(result["where"], np.array(np.nonzero(s)))


def test_views_cost_no_copy_and_no_memory(rng: Any) -> None:
    network = Network()
    x = network.add_input("x", "float32", [1, 16, 4, 6])
    y = network.add_tanh(x).output
    left, right = network.add_split(y, sizes=(8, 8)).outputs
    left = network.add_reshape(left, shape=(0, 4, -1)).output
    left = network.add_slice(left, starts=(1,), ends=(3,), axes=(1,)).output
    left = network.add_squeeze(network.add_unsqueeze(left, axes=(0,)).output, axes=(0,)).output
    left = network.add_flatten(left).output
    network.mark_output(network.add_exp(left).output, "left")
    network.mark_output(network.add_exp(right).output, "right")
    array = rng.normal(size=(1, 16, 4, 6)).astype(np.float32)
    with plugrt.build(network, BuilderConfig(tune="off")) as engine:
        context = engine.create_context()
        result = context.execute({"x": array})
        recording = context.recording({"x": array.shape})
        context.close()
    assert recording.plan.arena_size == array.nbytes
    commands = [
        len(variant.recording.commands)
        for segment in recording.segments
        for variant in segment.variants.values()
    ]
    assert commands == [3]
    for name, expected in zip(("left", "right"), network.reference([array]), strict=True):
        np.testing.assert_allclose(result[name], expected, rtol=1e-5)


def test_data_movement_stays_in_int8(rng: Any) -> None:
    network = Network()
    x = network.add_input("x", "float32", ["N", 16, 4, 6])
    tensors = [network.add_re_lu(x).output]
    for step in (
        lambda t: network.add_slice(t, starts=(1,), ends=(3,), axes=(2,)),
        lambda t: network.add_upsample(t),
        lambda t: network.add_transpose(t, permutation=(0, 2, 3, 1)),
        lambda t: network.add_reshape(t, shape=(0, -1, 16)),
        lambda t: network.add_pad(t, padding=(0, 1, 0, 0, 1, 0)),
        lambda t: network.add_reduce_max(t, axes=(2,)),
    ):
        tensors.append(step(tensors[-1]).output)
    for tensor in tensors:
        tensor.set_quantization(0.05)
    network.mark_output(network.add_identity(tensors[-1]).output, "y")
    array = rng.normal(size=(2, 16, 4, 6)).astype(np.float32)
    config = BuilderConfig(precision="int8", tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        result = context.execute({"x": array})["y"]
        moved = [line.split(":")[0] for line in engine.report if "runs in 8 bits" in line]
    assert set(moved) >= {"slice", "upsample", "transpose", "reshape", "pad", "reduce_max"}
    (expected,) = network.reference([array])
    # Everything was rounded once, to multiples of the scale.
    np.testing.assert_allclose(result, np.rint(expected / 0.05) * 0.05, atol=1e-6)
