"""The other primitives of oneDNN against NumPy, and what all primitives have in common."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from plugrt.plugins.data_types import DataType
from plugrt.plugins.errors import DeviceError, PluginError
from plugrt.plugins.native import cpu, onednn
from plugrt.plugins.native.immediate import run_kernel
from plugrt.plugins.native.onednn import (
    Algorithm,
    Argument,
    Attributes,
    Binary,
    Eltwise,
    MemoryDesc,
    UnsupportedPrimitiveError,
    post_op_operand,
    scales_of,
)
from plugrt.plugins.native.onednn.cache import PrimitiveCache, primitives
from plugrt.plugins.tensor import Format, TensorDesc

pytestmark = pytest.mark.skipif(
    not onednn.available(), reason=f"no oneDNN: {onednn.unavailable_reason()}"
)

Array = np.ndarray[Any, np.dtype[Any]]
F32 = DataType.FLOAT32


def dense(array: Array, tag: str | None = None) -> MemoryDesc:
    return MemoryDesc.dense(array.shape, DataType.of(array.dtype), tag)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unary(primitive: onednn.Primitive, source: Array, out: Array) -> Array:
    primitive.execute({Argument.SRC: source, Argument.DST: out})
    return out


def windows(source: Array, kernel: int, stride: int, before: int, after: int, fill: float) -> Array:
    """N, C, H', W', kernel * kernel"""
    padded = np.pad(source, [(0, 0), (0, 0), (before, after), (before, after)],
                    constant_values=fill)  # fmt: skip
    view = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))
    view = view[:, :, ::stride, ::stride]
    return view.reshape(*view.shape[:4], -1)


@pytest.mark.parametrize("kernel", [(2, 2, 0, 0), (3, 2, 1, 1), (2, 1, 0, 1), (3, 1, 1, 1)])
@pytest.mark.parametrize("average", ["max", "include", "exclude"])
def test_pooling(kernel: tuple[int, int, int, int], average: str) -> None:
    size, stride, before, after = kernel
    source = normal(2, 16, 12, 12)
    algorithm = {
        "max": Algorithm.POOLING_MAX,
        "include": Algorithm.POOLING_AVG_INCLUDE_PADDING,
        "exclude": Algorithm.POOLING_AVG_EXCLUDE_PADDING,
    }[average]
    fill = -np.inf if average == "max" else 0.0 if average == "include" else np.nan
    parts = windows(source, size, stride, before, after, fill)
    if average == "max":
        expected = parts.max(-1)
    else:
        expected = parts.mean(-1) if average == "include" else np.nanmean(parts, -1)
    out = np.empty(expected.shape, np.float32)
    primitive = onednn.pooling(
        algorithm,
        dense(source),
        dense(out),
        kernel=(size, size),
        strides=(stride, stride),
        padding_before=(before, before),
        padding_after=(after, after),
    )
    np.testing.assert_allclose(unary(primitive, source, out), expected, rtol=1e-5, atol=1e-6)


def test_matmul_with_a_leading_dimension_and_bias() -> None:
    left, right, bias = normal(30, 40), normal(40, 17, seed=1), normal(1, 17, seed=2)
    out = np.zeros((30, 25), np.float32)
    primitive = onednn.matmul(
        dense(left),
        dense(right),
        MemoryDesc.strided((30, 17), F32, (25, 1)),
        bias=dense(bias),
        threads=2,
    )
    assert not primitive.is_reference
    primitive.execute(
        {Argument.SRC: left, Argument.WEIGHTS: right, Argument.BIAS: bias, Argument.DST: out}
    )
    np.testing.assert_allclose(out[:, :17], left @ right + bias, rtol=1e-4, atol=1e-4)
    assert not out[:, 17:].any()


def test_batched_matmul_broadcasts() -> None:
    left, right = normal(3, 5, 7), normal(1, 7, 4, seed=1)
    out = np.empty((3, 5, 4), np.float32)
    primitive = onednn.matmul(dense(left), dense(right), dense(out))
    primitive.execute({Argument.SRC: left, Argument.WEIGHTS: right, Argument.DST: out})
    np.testing.assert_allclose(out, left @ right, rtol=1e-4, atol=1e-5)


def test_inner_product_with_packed_weights() -> None:
    source, weights, bias = normal(4, 8, 3, 3), normal(10, 8, 3, 3, seed=1), normal(10, seed=2)
    out = np.empty((4, 10), np.float32)
    primitive = onednn.inner_product(
        dense(source), MemoryDesc.any_layout(weights.shape, F32), dense(out), bias=dense(bias)
    )
    packed = onednn.pack(weights, dense(weights), primitive.weights_desc)
    assert packed.ctypes.data % 64 == 0
    primitive.execute(
        {Argument.SRC: source, Argument.WEIGHTS: packed, Argument.BIAS: bias, Argument.DST: out}
    )
    expected = source.reshape(4, -1) @ weights.reshape(10, -1).T + bias
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(
        onednn.unpack(packed, primitive.weights_desc, dense(weights)), weights
    )


@pytest.mark.parametrize("logarithm", [False, True])
@pytest.mark.parametrize("axis", [1, 2])
def test_softmax(logarithm: bool, axis: int) -> None:
    source = normal(3, 10, 6) * 5
    out = np.empty_like(source)
    primitive = onednn.softmax(dense(source), dense(out), axis=axis, logarithm=logarithm)
    powers = np.exp(source - source.max(axis, keepdims=True))
    expected = powers / powers.sum(axis, keepdims=True)
    expected = np.log(expected) if logarithm else expected
    np.testing.assert_allclose(unary(primitive, source, out), expected, rtol=1e-4, atol=1e-5)


def test_lrn_across_channels() -> None:
    source = normal(1, 16, 5, 5)
    size, alpha, beta, k = 5, 0.01, 0.75, 2.0
    padded = np.pad(source.astype(np.float64) ** 2, [(0, 0), (2, 2), (0, 0), (0, 0)])
    sums = sum(padded[:, i : i + 16] for i in range(size))
    expected = source / (k + alpha / size * sums) ** beta
    out = np.empty_like(source)
    primitive = onednn.lrn(
        Algorithm.LRN_ACROSS_CHANNELS,
        dense(source),
        dense(out),
        local_size=size,
        alpha=alpha,
        beta=beta,
        k=k,
    )
    np.testing.assert_allclose(unary(primitive, source, out), expected, rtol=1e-4, atol=1e-6)


def test_concat_and_weighted_sum() -> None:
    first, second = normal(2, 3, 4, 4), normal(2, 5, 4, 4, seed=1)
    out = np.empty((2, 8, 4, 4), np.float32)
    onednn.concat([dense(first), dense(second)], dense(out), axis=1).execute(
        {onednn.source(0): first, onednn.source(1): second, Argument.DST: out}
    )
    np.testing.assert_array_equal(out, np.concatenate([first, second], 1))
    other, total = normal(2, 3, 4, 4, seed=2), np.empty_like(first)
    onednn.weighted_sum([dense(first), dense(other)], dense(total), scales=(2.0, -0.5)).execute(
        {onednn.source(0): first, onednn.source(1): other, Argument.DST: total}
    )
    np.testing.assert_allclose(total, 2 * first - 0.5 * other, rtol=1e-6, atol=1e-6)


def test_binary_broadcasts_and_takes_post_ops() -> None:
    left, right, factor = normal(2, 16, 4, 4), normal(1, 16, 1, 1, seed=1), normal(1, 1, 1, 1)
    out = np.empty_like(left)
    attributes = Attributes(
        post_ops=(Eltwise(Algorithm.RELU), Binary(Algorithm.BINARY_MUL, dense(factor)))
    )
    onednn.binary(
        Algorithm.BINARY_SUB, dense(left), dense(right), dense(out), attributes=attributes
    ).execute(
        {
            Argument.SRC: left,
            Argument.SRC_1: right,
            Argument.DST: out,
            post_op_operand(1): factor,
        }
    )
    np.testing.assert_allclose(out, np.maximum(left - right, 0) * factor, rtol=1e-6)


def test_eltwise() -> None:
    source = normal(3, 40)
    out = np.empty_like(source)
    primitive = onednn.eltwise(Algorithm.CLIP_V2, dense(source), dense(out), alpha=-0.5, beta=0.25)
    np.testing.assert_array_equal(unary(primitive, source, out), source.clip(-0.5, 0.25))


def test_reorder_converts_with_a_scale() -> None:
    source = normal(2, 16, 5, 7)
    out = np.empty((2, 5, 7, 16), np.int8)
    primitive = onednn.reorder(
        dense(source),
        MemoryDesc.dense(source.shape, DataType.INT8, "acdb"),
        attributes=Attributes(scales=((Argument.DST, 0),)),
    )
    scale = np.float32([0.02])
    primitive.execute(
        {Argument.SRC: source, Argument.DST: out, scales_of(Argument.DST): scale}
    )
    expected = np.clip(np.rint(source / scale), -128, 127).astype(np.int8)
    np.testing.assert_array_equal(out.transpose(0, 3, 1, 2), expected)


def test_resampling() -> None:
    source = normal(1, 16, 3, 5)
    out = np.empty((1, 16, 6, 10), np.float32)
    nearest = onednn.resampling(Algorithm.RESAMPLING_NEAREST, dense(source), dense(out))
    expected = source.repeat(2, 2).repeat(2, 3)
    np.testing.assert_array_equal(unary(nearest, source, out), expected)
    linear = onednn.resampling(Algorithm.RESAMPLING_LINEAR, dense(source), dense(out))
    for axis in (2, 3):
        size = source.shape[axis]
        at = (np.arange(2 * size) + 0.5) / 2 - 0.5
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        source = (1 - part) * source.take(low.clip(0, size - 1), axis) + part * source.take(
            (low + 1).clip(0, size - 1), axis
        )
    np.testing.assert_allclose(unary(linear, normal(1, 16, 3, 5), out), source, atol=1e-5)


def test_reduction() -> None:
    source = normal(2, 16, 5, 5)
    out = np.empty((2, 16, 1, 1), np.float32)
    primitive = onednn.reduction(Algorithm.REDUCTION_MEAN, dense(source), dense(out))
    expected = source.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(unary(primitive, source, out), expected, rtol=1e-4, atol=1e-6)


# ---- descriptions ------------------------------------------------------------------------------


def test_memory_descriptions_of_tensors() -> None:
    shape = (2, 32, 5, 7)
    for layout, tag in (
        (Format.LINEAR, "abcd"),
        (Format.CHANNELS_LAST, "acdb"),
        (Format.CHANNELS_BLOCKED_16, "aBcd16b"),
    ):
        desc = MemoryDesc.of(TensorDesc(F32, shape, layout))
        assert desc.same_layout(MemoryDesc.dense(shape, F32, tag))
        assert desc.nbytes == 4 * 2 * 32 * 5 * 7
        assert desc.dims == shape
        assert desc.dtype is F32
    strided = MemoryDesc.of(TensorDesc(F32, (2, 3), strides=(10, 2)))
    assert strided.same_layout(MemoryDesc.strided((2, 3), F32, (10, 2)))
    assert MemoryDesc.of(TensorDesc(F32, ())).dims == (1,)
    assert MemoryDesc.dense((2, 3), F32) == MemoryDesc.dense([2, 3], F32)
    assert MemoryDesc.dense((2, 3), F32) != MemoryDesc.dense((3, 2), F32)


def test_unknown_types_and_tags_are_named() -> None:
    with pytest.raises(DeviceError, match="no element type complex64"):
        MemoryDesc.dense((2,), DataType.COMPLEX64)
    with pytest.raises(DeviceError, match="no format tag 'zzz'"):
        MemoryDesc.dense((2,), F32, "zzz")


# ---- primitives ---------------------------------------------------------------------------------


def relu(size: int = 8, threads: int = 1) -> onednn.Primitive:
    desc = MemoryDesc.dense((size, 4), F32)
    return onednn.eltwise(Algorithm.RELU, desc, desc, threads=threads)


def test_primitives_are_cached_by_everything_that_matters() -> None:
    assert relu() is relu()
    assert relu() is not relu(threads=2)
    assert relu() is not relu(size=9)


def test_the_cache_is_bounded() -> None:
    cache = PrimitiveCache(capacity=2)
    for key in range(4):
        cache.get(key, lambda: relu())
    assert len(cache) == 2
    made = []
    cache.get(3, lambda: made.append(1) or relu())
    assert not made
    assert len(primitives) > 0


def test_implementations_are_distinct_and_none_is_a_reference() -> None:
    desc = MemoryDesc.dense((1, 32, 9, 9), F32, "acdb")
    found = list(
        onednn.implementations(
            onednn.convolution,
            desc,
            MemoryDesc.any_layout((32, 32, 3, 3), F32),
            desc,
            strides=(1, 1),
            padding_before=(1, 1),
            padding_after=(1, 1),
        )
    )
    names = [primitive.implementation for primitive in found]
    assert len(set(names)) == len(names) >= 1
    assert not any(primitive.is_reference for primitive in found)


def test_attempt_refuses_references_and_impossible_wishes() -> None:
    # No optimised kernel writes to a strided channels-last slice.
    dims = (2, 32, 9, 9)
    slice_desc = MemoryDesc.strided(dims, F32, (81 * 64, 1, 9 * 64, 64))
    arguments: dict[str, Any] = {
        "strides": (1, 1), "padding_before": (1, 1), "padding_after": (1, 1),
    }  # fmt: skip
    weights = MemoryDesc.any_layout((32, 32, 3, 3), F32)
    source = MemoryDesc.dense(dims, F32, "acdb")
    assert onednn.convolution(source, weights, slice_desc, **arguments).is_reference
    assert onednn.attempt(onednn.convolution, source, weights, slice_desc, **arguments) is None
    wrong = MemoryDesc.dense((2, 32, 99, 9), F32, "acdb")
    assert onednn.attempt(onednn.convolution, source, weights, wrong, **arguments) is None
    with pytest.raises(UnsupportedPrimitiveError, match="oneDNN refuses convolution"):
        onednn.convolution(source, weights, wrong, **arguments)


def test_bindings_are_checked() -> None:
    primitive = relu()
    with pytest.raises(PluginError, match="argument 17 is not bound"):
        primitive.command({Argument.SRC: (0, 0)})
    with pytest.raises(PluginError, match="has no argument 33"):
        primitive.command(
            {Argument.SRC: (0, 0), Argument.DST: (1, 0), Argument.WEIGHTS: (2, 0)}
        )
    with pytest.raises(PluginError, match="it needs 128, C-contiguous"):
        primitive.command({Argument.SRC: np.zeros(3, np.float32), Argument.DST: (1, 0)})


def test_a_scratchpad_is_demanded_and_used() -> None:
    source = MemoryDesc.dense((1, 64, 30, 30), F32)
    primitive = next(
        p
        for p in onednn.implementations(
            onednn.convolution,
            source,
            MemoryDesc.dense((64, 64, 3, 3), F32),
            source,
            strides=(1, 1),
            padding_before=(1, 1),
            padding_after=(1, 1),
        )
        if p.scratchpad_bytes
    )
    with pytest.raises(PluginError, match=f"{primitive.scratchpad_bytes} bytes of workspace"):
        primitive.command(
            {Argument.SRC: (0, 0), Argument.WEIGHTS: (1, 0), Argument.DST: (2, 0)}
        )


def test_a_command_follows_its_buffers_and_reports_missing_slots() -> None:
    command = relu().command({Argument.SRC: (0, 16), Argument.DST: (1, 0)})
    for seed in range(3):  # other addresses at each call
        source = normal(9, 4, seed=seed)
        out = np.empty((8, 4), np.float32)
        run_kernel(command.address, command.arguments, [source, out])
        np.testing.assert_array_equal(out, np.maximum(source[1:], 0))
    with pytest.raises(DeviceError, match="1 slots, the primitive was recorded with 2"):
        run_kernel(command.address, command.arguments, [source])


def test_one_primitive_in_many_threads() -> None:
    size = 64
    results: list[bool] = []

    def work(seed: int) -> None:
        source = normal(size, 4, seed=seed)
        out = np.empty_like(source)
        command = relu(size).command({Argument.SRC: (0, 0), Argument.DST: (1, 0)})
        for _ in range(50):
            run_kernel(command.address, command.arguments, [source, out])
        results.append(bool((out == np.maximum(source, 0)).all()))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


def test_creation_leaves_the_team_size_alone() -> None:
    before = cpu.get_num_threads()
    try:
        cpu.set_num_threads(1)
        relu(size=77, threads=2).execute(
            {Argument.SRC: normal(77, 4), Argument.DST: np.empty((77, 4), np.float32)}
        )
        assert cpu.get_num_threads() == 1
    finally:
        cpu.set_num_threads(before)
