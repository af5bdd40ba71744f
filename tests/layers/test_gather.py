"""Shape and Gather, alone and as shape arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.gather import Gather
from plugrt.builtin_layers.reshape import Reshape
from plugrt.builtin_layers.shape import Shape
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import DataType, DeviceError, Format, SameRange, ShapeError, TensorDesc, symbol

BATCH = symbol("N")


@given(
    shape=array_shapes(max_dims=4, max_side=5), index_shape=array_shapes(min_dims=0, max_dims=2),
    data=st.data(),
)  # fmt: skip
def test_any_gather_is_numpys_take(shape: Any, index_shape: Any, data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    dtype = data.draw(st.sampled_from([np.float32, np.int8, np.float64, np.float16]))
    index_type = data.draw(st.sampled_from([np.int32, np.int64]))
    extent = shape[axis]
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.integers(0, 100, shape).astype(dtype)
    indices = rng.integers(-extent, extent, index_shape).astype(index_type)
    layer = Gather(axis=axis)
    expected = np.take(x, indices, axis)
    descs = [TensorDesc(DataType.of(array.dtype), array.shape) for array in (x, indices)]
    assert output_descs(layer, descs)[0].shape == expected.shape
    np.testing.assert_array_equal(layer.reference([x, indices])[0], expected)
    np.testing.assert_array_equal(run_layer(layer, [x, indices])[0], expected)


def test_large_gather_is_shared_by_threads(rng: Any) -> None:
    x = rng.normal(size=(3, 1000, 17)).astype(np.float32)
    indices = rng.integers(0, 1000, 2500)
    for threads in (1, 2):
        (result,) = run_layer(Gather(axis=1), [x, indices], threads=threads)
        np.testing.assert_array_equal(result, x[:, indices])


@pytest.mark.parametrize("index", [5, -6])
def test_index_outside_of_the_axis(index: int) -> None:
    x = np.zeros((5, 2), np.float32)
    with pytest.raises(DeviceError, match=f"index {index} at position 1 .* axis of size 5"):
        run_layer(Gather(), [x, np.array([0, index])])


def test_gather_rules() -> None:
    x = TensorDesc(DataType.FLOAT32, (BATCH, 3, 8))
    indices = TensorDesc(DataType.INT64, (2, 2))
    assert Gather(axis=1).getOutputDimensions(0, [x, indices]) == (BATCH, 2, 2, 8)
    assert Gather().outputRange(0) == SameRange(0)
    with pytest.raises(ShapeError, match="indices have type float32"):
        Gather().getOutputDataType(0, [DataType.FLOAT32, DataType.FLOAT32])


@pytest.mark.parametrize("layout", list(Format))
def test_shape(layout: Format, rng: Any) -> None:
    x = rng.normal(size=(2, 16, 5, 3)).astype(np.float32)
    (result,) = run_layer(Shape(), [x], formats=[layout])
    assert result.dtype == np.int64
    assert result.tolist() == [2, 16, 5, 3] == Shape().reference([x])[0].tolist()


def test_shapes_flow_from_shape_to_reshape() -> None:
    x = TensorDesc(DataType.FLOAT32, (BATCH, 3, 20, 30))
    (sizes,) = output_descs(Shape(), [x])
    assert list(sizes.value) == [BATCH, 3, 20, 30]
    first = TensorDesc(DataType.INT64, (2,), value=np.array([0, 1]))
    (target,) = output_descs(Gather(), [sizes, first])
    assert list(target.value) == [BATCH, 3]
    one = TensorDesc(DataType.INT64, (), value=np.array(-1))
    assert Gather().getOutputValue(0, [sizes, one]) == 30
    matrix = TensorDesc(DataType.FLOAT32, (BATCH, 3, 1))
    assert Reshape().getOutputDimensions(0, [matrix, target]) == (BATCH, 3)


def test_static_shapes_are_constants() -> None:
    (sizes,) = output_descs(Shape(), [TensorDesc(DataType.FLOAT32, (4, 3))])
    assert sizes.is_constant
    assert sizes.value is not None
    assert sizes.value.tolist() == [4, 3]
