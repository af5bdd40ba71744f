"""NonZero: data-dependent sizes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.non_zero import NonZero
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import DataType, ShapeError, TensorDesc, symbol
from plugrt.plugins.dims import evaluate, symbols

TYPES = [
    np.bool_, np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64,
    np.float16, ml_dtypes.bfloat16, np.float32, np.float64,
]  # fmt: skip


@given(
    shape=array_shapes(max_dims=4, min_side=0, max_side=6), density=st.sampled_from([0, 0.3, 1]),
    dtype=st.sampled_from(TYPES),
)  # fmt: skip
def test_any_array(shape: Any, density: float, dtype: Any) -> None:
    rng = np.random.default_rng(sum(shape))
    x = np.where(rng.random(shape) < density, 3, 0).astype(dtype)
    expected = np.array(np.nonzero(x), np.int64)
    for indices, count in (run_layer(NonZero(), [x]), NonZero().reference([x])):
        assert indices.dtype == count.dtype == np.int64
        assert count.shape == ()
        assert count == expected.shape[1]
        np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_input_in_order(threads: int, rng: Any) -> None:
    x = (rng.random((7, 131, 29)) < 0.2).astype(np.float32)
    indices, _ = run_layer(NonZero(), [x], threads=threads)
    np.testing.assert_array_equal(indices, np.array(np.nonzero(x)))


def test_negative_zero_and_nan() -> None:
    x = np.array([-0.0, 0.0, np.nan, -1e-30, np.inf], np.float32)
    indices, _ = run_layer(NonZero(), [x])
    assert indices.tolist() == [[2, 3, 4]]


def test_bound_is_the_number_of_elements() -> None:
    batch = symbol("N")
    indices, count = output_descs(NonZero(), [TensorDesc(DataType.FLOAT32, (batch, 3, 4))])
    assert count.shape == ()
    assert indices.shape[0] == 3
    (found,) = [s for s in symbols(indices.shape[1]).values() if s.bound is not None]
    assert found.bound == batch * 12
    assert evaluate(indices.shape[1], {"N": 2}) == 24


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="rank 0"):
        NonZero().getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, ())])
    with pytest.raises(ShapeError, match="type complex64 is not supported"):
        NonZero().getOutputDataType(0, [DataType.COMPLEX64])
