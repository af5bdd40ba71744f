"""Convolutions of oneDNN against NumPy: shapes, groups, types, layouts, post-ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from plugrt.plugins.data_types import DataType
from plugrt.plugins.native import onednn
from plugrt.plugins.native.onednn import (
    Algorithm,
    Argument,
    Attributes,
    Binary,
    Eltwise,
    MemoryDesc,
    Sum,
    post_op_operand,
    scales_of,
    zero_points_of,
)
from plugrt.plugins.tensor import Format, TensorDesc, TensorView

pytestmark = pytest.mark.skipif(
    not onednn.available(), reason=f"no oneDNN: {onednn.unavailable_reason()}"
)

Array = np.ndarray[Any, np.dtype[Any]]
F32 = DataType.FLOAT32
PLAIN = Attributes()


@dataclass(frozen=True)
class Case:
    batch: int = 1
    channels: int = 8
    outputs: int = 16
    size: tuple[int, int] = (9, 11)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    before: tuple[int, int] = (1, 1)
    after: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        spatial = [
            (n + b + a - (d * (k - 1) + 1)) // s + 1
            for n, b, a, d, k, s in zip(
                self.size, self.before, self.after, self.dilation, self.kernel, self.stride,
                strict=True,
            )
        ]  # fmt: skip
        return (self.batch, self.outputs, spatial[0], spatial[1])

    @property
    def weights_dims(self) -> tuple[int, ...]:
        per_group = (self.outputs // self.groups, self.channels // self.groups, *self.kernel)
        return per_group if self.groups == 1 else (self.groups, *per_group)

    @property
    def source_dims(self) -> tuple[int, ...]:
        return (self.batch, self.channels, *self.size)


CASES = [
    Case(),
    Case(channels=3, outputs=16, size=(17, 19), kernel=(3, 3), stride=(2, 2)),
    Case(batch=2, channels=16, outputs=32, kernel=(1, 1), before=(0, 0), after=(0, 0)),
    Case(channels=32, outputs=32, groups=32),
    Case(channels=24, outputs=24, groups=24, stride=(2, 2)),
    Case(channels=32, outputs=16, groups=2),
    Case(channels=16, outputs=16, dilation=(2, 2), before=(2, 2), after=(2, 2)),
    Case(channels=16, outputs=18, before=(0, 1), after=(2, 0), kernel=(3, 2)),
    Case(channels=5, outputs=7, kernel=(5, 5), before=(2, 2), after=(2, 2)),
]


def convolve(source: Array, weights: Array, case: Case) -> Array:
    """The definition, one kernel position at a time."""
    padded = np.pad(
        source.astype(np.float64),
        [(0, 0), (0, 0), *zip(case.before, case.after, strict=True)],
    )
    batch, outputs, height, width = case.output_shape
    flat = weights.astype(np.float64).reshape(outputs, -1, *case.kernel)
    result = np.zeros((batch, outputs, height, width))
    per_in, per_out = case.channels // case.groups, outputs // case.groups
    for y in range(case.kernel[0]):
        for x in range(case.kernel[1]):
            window = padded[
                :,
                :,
                y * case.dilation[0] :: case.stride[0],
                x * case.dilation[1] :: case.stride[1],
            ][:, :, :height, :width]
            for g in range(case.groups):
                out = slice(g * per_out, (g + 1) * per_out)
                result[:, out] += np.einsum(
                    "nchw,oc->nohw",
                    window[:, g * per_in : (g + 1) * per_in],
                    flat[out, :, y, x],
                )
    return result


def primitive_for(
    case: Case,
    src: DataType = F32,
    wei: DataType = F32,
    dst: DataType = F32,
    tag: str = "acdb",
    bias: bool = True,
    destination: MemoryDesc | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 2,
) -> onednn.Primitive:
    return onednn.convolution(
        MemoryDesc.dense(case.source_dims, src, tag),
        MemoryDesc.any_layout(case.weights_dims, wei),
        destination or MemoryDesc.dense(case.output_shape, dst, tag),
        bias=MemoryDesc.dense((case.outputs,), F32) if bias else None,
        strides=case.stride,
        padding_before=case.before,
        padding_after=case.after,
        dilations=case.dilation,
        attributes=attributes,
        threads=threads,
    )


def pack_weights(weights: Array, case: Case, primitive: onednn.Primitive) -> Array:
    dtype = DataType.of(weights.dtype)
    return onednn.pack(
        weights, MemoryDesc.dense(case.weights_dims, dtype), primitive.weights_desc
    )


def channels_last(array: Array) -> Array:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def channels_first(array: Array) -> Array:
    return array.transpose(0, 3, 1, 2)


def random_case(case: Case, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    source = rng.standard_normal(case.source_dims).astype(np.float32)
    weights = rng.standard_normal(case.weights_dims).astype(np.float32)
    return source, weights, rng.standard_normal(case.outputs).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("tag", ["acdb", "abcd"])
def test_float32(case: Case, tag: str) -> None:
    source, weights, bias = random_case(case)
    primitive = primitive_for(case, tag=tag)
    out = np.empty(case.output_shape, np.float32)
    if tag == "acdb":
        out = channels_last(out)
    primitive.execute(
        {
            Argument.SRC: channels_last(source) if tag == "acdb" else source,
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
        }
    )
    expected = convolve(source, weights, case) + bias[:, None, None]
    got = channels_first(out) if tag == "acdb" else out
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c.outputs % 16 == 0], ids=str)
def test_blocked_by_16(case: Case) -> None:
    source, weights, bias = random_case(case)
    plain = MemoryDesc.dense(case.source_dims, F32)
    destination = MemoryDesc.dense(case.output_shape, F32, "aBcd16b")
    primitive = primitive_for(
        case, tag="aBcd16b" if case.channels % 16 == 0 else "abcd", destination=destination
    )
    out = np.empty(case.output_shape, np.float32)
    primitive.execute(
        {
            Argument.SRC: onednn.pack(source, plain, primitive.source_desc),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
        }
    )
    got = onednn.unpack(out, destination, MemoryDesc.dense(case.output_shape, F32))
    expected = convolve(source, weights, case) + bias[:, None, None]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("source_type", [np.uint8, np.int8])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_int8_with_scales_and_zero_points(case: Case, source_type: type) -> None:
    rng = np.random.default_rng(1)
    low, high = (0, 255) if source_type is np.uint8 else (-128, 127)
    source = rng.integers(low, high, case.source_dims, endpoint=True).astype(source_type)
    weights = rng.integers(-127, 127, case.weights_dims, endpoint=True).astype(np.int8)
    bias = rng.standard_normal(case.outputs).astype(np.float32)
    source_scale, source_zero = np.float32([0.02]), np.int32([7])
    weight_scales = rng.uniform(0.005, 0.01, case.outputs).astype(np.float32)
    out_scale, out_zero = np.float32([0.3]), np.int32([-3])
    per_output = 1 if case.groups == 1 else 3
    attributes = Attributes(
        scales=((Argument.SRC, 0), (Argument.WEIGHTS, per_output), (Argument.DST, 0)),
        zero_points=((Argument.SRC, 0), (Argument.DST, 0)),
    )
    primitive = primitive_for(
        case, DataType.of(source_type), DataType.INT8, DataType.INT8, attributes=attributes
    )
    out = np.empty(np.array(case.output_shape)[[0, 2, 3, 1]], np.int8)
    primitive.execute(
        {
            Argument.SRC: channels_last(source),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
            scales_of(Argument.SRC): source_scale,
            scales_of(Argument.WEIGHTS): weight_scales,
            scales_of(Argument.DST): out_scale,
            zero_points_of(Argument.SRC): source_zero,
            zero_points_of(Argument.DST): out_zero,
        }
    )
    whole = convolve(source.astype(np.int64) - source_zero[0], weights, case)
    real = whole * source_scale[0] * weight_scales[:, None, None] + bias[:, None, None]
    expected = np.clip(np.rint(real / out_scale[0]) + out_zero[0], -128, 127)
    difference = np.abs(channels_first(out).astype(np.int64) - expected)
    assert difference.max() <= 1  # a sum at the edge between two integers may fall either way
    assert (difference > 0).mean() < 0.01


def test_post_ops_with_residual_in_place() -> None:
    case = Case(channels=16, outputs=32, batch=2)
    source, weights, bias = random_case(case)
    rng = np.random.default_rng(3)
    factors = rng.standard_normal((1, case.outputs, 1, 1)).astype(np.float32)
    residual = rng.standard_normal(case.output_shape).astype(np.float32)
    attributes = Attributes(
        post_ops=(
            Binary(Algorithm.BINARY_MUL, MemoryDesc.dense(factors.shape, F32)),
            Sum(0.5),
            Eltwise(Algorithm.RELU, 0.1),
        )
    )
    primitive = primitive_for(case, attributes=attributes)
    assert not primitive.is_reference
    out = channels_last(residual)
    primitive.execute(
        {
            Argument.SRC: channels_last(source),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
            post_op_operand(0): factors,
        }
    )
    value = (convolve(source, weights, case) + bias[:, None, None]) * factors + 0.5 * residual
    expected = np.where(value > 0, value, 0.1 * value)
    np.testing.assert_allclose(channels_first(out), expected, rtol=1e-4, atol=1e-4)


def test_int8_residual_of_the_other_signedness() -> None:
    case = Case(channels=32, outputs=32, kernel=(1, 1), before=(0, 0), after=(0, 0))
    rng = np.random.default_rng(4)
    source = rng.integers(0, 255, case.source_dims).astype(np.uint8)
    weights = rng.integers(-20, 20, case.weights_dims).astype(np.int8)
    residual = rng.integers(-128, 127, case.output_shape).astype(np.int8)
    attributes = Attributes(
        post_ops=(Sum(2.0, dtype=DataType.INT8), Eltwise(Algorithm.RELU)),
        scales=((Argument.SRC, 0), (Argument.WEIGHTS, 1)),
    )
    primitive = primitive_for(
        case, DataType.UINT8, DataType.INT8, DataType.UINT8, bias=False, attributes=attributes
    )
    out = channels_last(residual)
    primitive.execute(
        {
            Argument.SRC: channels_last(source),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.DST: out,
            scales_of(Argument.SRC): np.float32([0.1]),
            scales_of(Argument.WEIGHTS): np.full(case.outputs, 0.05, np.float32),
        }
    )
    real = convolve(source, weights, case) * 0.1 * 0.05 + 2.0 * residual
    expected = np.clip(np.rint(real), 0, 255)
    difference = np.abs(channels_first(out.view(np.uint8)).astype(np.int64) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_bfloat16() -> None:
    case = Case(channels=32, outputs=32)
    source, weights, bias = random_case(case)
    bf16 = DataType.BFLOAT16
    source = source.astype(bf16.numpy)
    weights = weights.astype(bf16.numpy)
    primitive = primitive_for(case, bf16, bf16, bf16)
    out = np.empty(np.array(case.output_shape)[[0, 2, 3, 1]], bf16.numpy)
    primitive.execute(
        {
            Argument.SRC: channels_last(source),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
        }
    )
    expected = convolve(source, weights, case) + bias[:, None, None]
    got = channels_first(out).astype(np.float64)
    np.testing.assert_allclose(got, expected, rtol=1e-2, atol=0.1)


@pytest.mark.parametrize("batch", [1, 2])
def test_destination_in_a_slice_of_blocked_channels(batch: int) -> None:
    case = Case(channels=16, outputs=16, batch=batch)
    source, weights, bias = random_case(case)
    whole = (batch, 48, *case.output_shape[2:])
    tensor = TensorView(TensorDesc(F32, whole, Format.CHANNELS_BLOCKED_16), slot=0)
    view = tensor.slice(1, 16, 16)
    primitive = primitive_for(case, tag="aBcd16b", destination=MemoryDesc.of(view.desc))
    # oneDNN's fast kernels know no strided blocks, but one image's slice is dense.
    assert primitive.is_reference == (batch > 1)
    out = np.zeros(np.prod(whole), np.float32)
    plain = MemoryDesc.dense(case.source_dims, F32)
    primitive.execute(
        {
            Argument.SRC: onednn.pack(source, plain, primitive.source_desc),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out[view.offset // 4 :],
        }
    )
    got = onednn.unpack(
        out, MemoryDesc.dense(whole, F32, "aBcd16b"), MemoryDesc.dense(whole, F32)
    )
    expected = convolve(source, weights, case) + bias[:, None, None]
    np.testing.assert_allclose(got[:, 16:32], expected, rtol=1e-4, atol=1e-4)
    assert not got[:, :16].any()
    assert not got[:, 32:].any()


def test_destination_with_strides() -> None:
    case = Case(channels=16, outputs=16)
    source, weights, bias = random_case(case)
    batch, outputs, height, width = case.output_shape
    strides = (height * width * 40, 1, width * 40, 40)
    primitive = primitive_for(
        case, destination=MemoryDesc.strided(case.output_shape, F32, strides)
    )
    out = np.zeros((batch, height, width, 40), np.float32)
    primitive.execute(
        {
            Argument.SRC: channels_last(source),
            Argument.WEIGHTS: pack_weights(weights, case, primitive),
            Argument.BIAS: bias,
            Argument.DST: out,
        }
    )
    expected = convolve(source, weights, case) + bias[:, None, None]
    np.testing.assert_allclose(
        channels_first(out[..., :outputs]), expected, rtol=1e-4, atol=1e-4
    )
    assert not out[..., outputs:].any()


@pytest.mark.parametrize("groups", [1, 2])
def test_deconvolution(groups: int) -> None:
    rng = np.random.default_rng(5)
    channels, outputs, height, width = 8, 6, 5, 7
    stride, kernel, pad = 2, 4, 1
    per_out, per_in = outputs // groups, channels // groups
    dims = (per_out, per_in, kernel, kernel)
    weights = rng.standard_normal((groups, *dims)).astype(np.float32)
    source = rng.standard_normal((1, channels, height, width)).astype(np.float32)
    out_size = ((height - 1) * stride + kernel - 2 * pad, (width - 1) * stride + kernel - 2 * pad)
    weights_dims = dims if groups == 1 else (groups, *dims)
    primitive = onednn.deconvolution(
        MemoryDesc.dense(source.shape, F32, "acdb"),
        MemoryDesc.any_layout(weights_dims, F32),
        MemoryDesc.dense((1, outputs, *out_size), F32, "acdb"),
        strides=(stride, stride),
        padding_before=(pad, pad),
        padding_after=(pad, pad),
        threads=2,
    )
    out = np.empty((1, *out_size, outputs), np.float32)
    packed = onednn.pack(weights, MemoryDesc.dense(weights_dims, F32), primitive.weights_desc)
    primitive.execute(
        {Argument.SRC: channels_last(source), Argument.WEIGHTS: packed, Argument.DST: out}
    )
    full = np.zeros((1, outputs, out_size[0] + 2 * pad, out_size[1] + 2 * pad))
    for g in range(groups):
        for y in range(kernel):
            for x in range(kernel):
                part = np.einsum(
                    "nchw,oc->nohw",
                    source[:, g * per_in : (g + 1) * per_in],
                    weights[g, :, :, y, x],
                )
                full[
                    :,
                    g * per_out : (g + 1) * per_out,
                    y : y + stride * height : stride,
                    x : x + stride * width : stride,
                ] += part
    expected = full[:, :, pad:-pad, pad:-pad]
    np.testing.assert_allclose(channels_first(out), expected, rtol=1e-4, atol=1e-4)
