"""ReduceSum, ReduceMean, ReduceMax and ArgMax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.reduction import ArgMax, ReduceMax, ReduceMean, ReduceSum
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    CalibratedRange,
    Combination,
    DataType,
    Format,
    Quantization,
    SameRange,
    ShapeError,
    TensorDesc,
    symbol,
)

CheckLayer = Callable[..., list[str]]
LAYERS = {ReduceSum: np.sum, ReduceMean: np.mean, ReduceMax: np.max}
PLAIN = [Format.LINEAR, Format.CHANNELS_LAST]


@given(shape=array_shapes(max_dims=5, max_side=5), data=st.data())
def test_any_axes(shape: Any, data: Any) -> None:
    kind = data.draw(st.sampled_from(list(LAYERS)))
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True))
    keep_dims = data.draw(st.booleans())
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int32, np.int64]))
    x = np.random.default_rng(sum(shape)).integers(-50, 50, shape).astype(dtype)
    layer = kind(axes=[a - len(shape) if a % 2 else a for a in axes], keep_dims=keep_dims)
    exact = LAYERS[kind](x, axis=tuple(axes) or None, keepdims=keep_dims)
    expected = np.trunc(exact).astype(dtype) if np.issubdtype(dtype, np.integer) else exact
    (desc,) = output_descs(layer, [TensorDesc(DataType.of(dtype), shape)])
    (reference,) = layer.reference([x])
    assert reference.shape == desc.shape == expected.shape
    assert reference.dtype == dtype
    np.testing.assert_allclose(reference, expected, rtol=1e-6)
    np.testing.assert_allclose(run_layer(layer, [x])[0], expected, rtol=1e-6)


@pytest.mark.parametrize("layout", PLAIN)
@pytest.mark.parametrize("output_layout", PLAIN)
@pytest.mark.parametrize("axes", [(2, 3), (1,), (0, 2), (), (3,)])
@pytest.mark.parametrize("kind", list(LAYERS))
def test_formats(
    kind: Any, axes: Any, layout: Format, output_layout: Format, every_tactic: CheckLayer,
    rng: Any,
) -> None:  # fmt: skip
    x = rng.normal(size=(2, 70, 9, 33)).astype(np.float32)
    for keep_dims in (True, False):
        layer = kind(axes=axes, keep_dims=keep_dims)
        assert every_tactic(
            layer, [x], layout=layout, output_layout=output_layout, rtol=1e-5, atol=1e-5
        )


def test_long_sums_keep_their_digits() -> None:
    x = np.full((1, 3_000_001), 0.1, np.float32)
    (total,) = run_layer(ReduceSum(axes=(1,)), [x])
    np.testing.assert_allclose(total[0, 0], np.sum(x, dtype=np.float64), rtol=1e-7)


def test_maximum_keeps_nan() -> None:
    x = np.array([[1, np.nan, 3], [-np.inf, -2, -3]], np.float32)
    np.testing.assert_array_equal(
        run_layer(ReduceMax(axes=(1,), keep_dims=False), [x])[0], [np.nan, -2]
    )
    np.testing.assert_array_equal(
        run_layer(ReduceMax(axes=(0,), keep_dims=False), [x])[0], [1, np.nan, 3]
    )


def test_sums_of_nothing() -> None:
    x = np.empty((2, 0, 3), np.float32)
    np.testing.assert_array_equal(run_layer(ReduceSum(axes=(1,)), [x])[0], np.zeros((2, 1, 3)))
    with pytest.raises(ShapeError, match="axis 1 of 2x0x3 is empty"):
        ReduceMax(axes=(1,)).getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, x.shape)])


def test_int8_maximum_stays_at_scale(rng: Any) -> None:
    stored = TensorDesc(DataType.INT8, (2, 40, 7), quantization=Quantization((0.5,), (3,)))
    output = replace(stored, shape=(2, 40, 1))
    x = rng.integers(-128, 128, stored.sizes).astype(np.int8)
    layer = ReduceMax(axes=(2,))
    assert layer.supportsFormat(Combination((stored,), (output,)))
    (result,) = run_layer(layer, [x], inputs=[stored], outputs=[output])
    np.testing.assert_array_equal(result, x.max(2, keepdims=True))
    other = replace(output, quantization=Quantization((0.25,), (3,)))
    assert not layer.supportsFormat(Combination((stored,), (other,)))
    assert not ReduceSum(axes=(2,)).supportsFormat(Combination((stored,), (output,)))


def test_rules() -> None:
    batch = symbol("N")
    x = TensorDesc(DataType.FLOAT32, (batch, 3, 4))
    assert ReduceMean(axes=(1, 2)).getOutputDimensions(0, [x]) == (batch, 1, 1)
    assert ReduceMean(axes=(-1,), keep_dims=False).getOutputDimensions(0, [x]) == (batch, 3)
    assert ReduceMax().outputRange(0) == SameRange(0)
    assert ReduceMean().outputRange(0) == CalibratedRange()
    with pytest.raises(ShapeError, match=r"axes \(1, -2\) name an axis twice"):
        ReduceSum(axes=(1, -2)).getOutputDimensions(0, [x])
    with pytest.raises(ShapeError, match="type bool is not supported"):
        ReduceSum().getOutputDataType(0, [DataType.BOOL])


@given(shape=array_shapes(max_dims=4, max_side=6), data=st.data())
def test_any_arg_max(shape: Any, data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    keep_dims = data.draw(st.booleans())
    dtype = data.draw(st.sampled_from([np.float32, np.int64, np.int8, np.uint8]))
    # Few different values, so that ties are common.
    x = np.random.default_rng(sum(shape)).integers(0, 4, shape).astype(dtype)
    layer = ArgMax(axis=axis, keep_dims=keep_dims)
    expected = np.argmax(x, axis=axis, keepdims=keep_dims)
    (desc,) = output_descs(layer, [TensorDesc(DataType.of(dtype), shape)])
    assert desc.dtype is DataType.INT64
    assert desc.shape == expected.shape == layer.reference([x])[0].shape
    np.testing.assert_array_equal(run_layer(layer, [x])[0], expected)


@pytest.mark.parametrize("layout", PLAIN)
@pytest.mark.parametrize("axis", [1, 3])
def test_arg_max_formats(axis: int, layout: Format, every_tactic: CheckLayer, rng: Any) -> None:
    x = rng.normal(size=(2, 81, 5, 6)).astype(np.float32)
    assert every_tactic(ArgMax(axis=axis), [x], layout=layout)
    assert every_tactic(ArgMax(axis=axis, keep_dims=False), [x], layout=layout)


def test_arg_max_finds_the_first_nan() -> None:
    x = np.array([1, np.nan, 7, np.nan], np.float32)
    assert run_layer(ArgMax(axis=0), [x])[0].tolist() == [1]
