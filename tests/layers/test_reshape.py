"""Layers that keep the elements' order: views where memory allows, copies otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.identity import Identity
from plugrt.builtin_layers.reshape import Flatten, Reshape, Squeeze, Unsqueeze
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    LayerPlugin,
    Quantization,
    SameRange,
    ShapeError,
    TensorDesc,
    ViewOf,
    symbol,
)

CheckLayer = Callable[..., list[str]]
BATCH = symbol("N")


def floats(*shape: Any) -> TensorDesc:
    return TensorDesc(DataType.FLOAT32, shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Reshape(shape=(6, 20)), (6, 20)),
        (Reshape(shape=(0, -1)), (2, 60)),
        (Reshape(shape=(0, 0, 20, 1)), (2, 3, 20, 1)),
        (Flatten(), (2, 60)),
        (Flatten(axis=0), (1, 120)),
        (Flatten(axis=4), (120, 1)),
        (Flatten(axis=-1), (24, 5)),
        (Unsqueeze(axes=(0, -1)), (1, 2, 3, 4, 5, 1)),
        (Identity(), (2, 3, 4, 5)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64, np.bool_, np.float16])
def test_copies(
    layer: LayerPlugin, shape: tuple[int, ...], dtype: Any, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.integers(0, 100, (2, 3, 4, 5)).astype(dtype)
    np.testing.assert_array_equal(layer.reference([x])[0], x.reshape(shape))
    assert every_tactic(layer, [x])


def test_target_shape_as_input(rng: Any) -> None:
    x = rng.normal(size=(4, 6)).astype(np.float32)
    target = np.array([3, -1], np.int64)
    (result,) = run_layer(Reshape(), [x, target], constants=[1])
    np.testing.assert_array_equal(result, x.reshape(3, 8))
    np.testing.assert_array_equal(Reshape().reference([x, target])[0], x.reshape(3, 8))


def test_symbolic_shapes() -> None:
    assert Reshape(shape=(0, -1)).getOutputDimensions(0, [floats(BATCH, 3, 8)]) == (BATCH, 24)
    assert Reshape(shape=(-1, 8)).getOutputDimensions(0, [floats(BATCH, 3, 8)]) == (BATCH * 3, 8)
    assert Flatten().getOutputDimensions(0, [floats(BATCH, 3, 8)]) == (BATCH, 24)
    assert Squeeze(axes=(0,)).getOutputDimensions(0, [floats(BATCH, 3)]) == (3,)
    target = np.empty(2, object)
    target[:] = [BATCH, -1]
    described = TensorDesc(DataType.INT64, (2,), value=target)
    assert Reshape().getOutputDimensions(0, [floats(BATCH, 3, 8), described]) == (BATCH, 24)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((1, 3, 1, 2), (), (3, 2)),
        ((1, 3, 1, 2), (0,), (3, 1, 2)),
        ((1, 3, 1, 2), (-2, 0), (3, 2)),
        ((1, 1), (), ()),
    ],
)
def test_squeeze(shape: Any, axes: Any, expected: Any, every_tactic: CheckLayer) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    layer = Squeeze(axes=axes)
    np.testing.assert_array_equal(layer.reference([x])[0], x.reshape(expected))
    assert every_tactic(layer, [x])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Reshape(shape=(7,)), (2, 3), "2x3 cannot become 7: 6 elements are not 7"),
        (Reshape(shape=(4, -1)), (2, 3), "6 elements are not a multiple of 4"),
        (Reshape(shape=(-1, -1)), (2, 3), "give -1 once"),
        (Reshape(shape=(-2, 3)), (2, 3), "size -2 is negative"),
        (Reshape(shape=(6, 1, 0)), (2, 3), "size 0 keeps axis 2"),
        (Reshape(shape=(0, -1)), (0, 3), "-1 is undefined"),
        (Flatten(axis=5), (2, 3), "axis 5 does not exist in a tensor of rank 2"),
        (Squeeze(axes=(1,)), (2, 3), "axis 1 of 2x3 has size 3"),
        (Unsqueeze(axes=(0, 0)), (2, 3), "name an axis twice"),
    ],
)
def test_impossible_shapes(layer: LayerPlugin, shape: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.getOutputDimensions(0, [floats(*shape)])


def test_unknown_target_shape() -> None:
    with pytest.raises(ShapeError, match="constant or computed from sizes"):
        Reshape().getOutputDimensions(0, [floats(6), TensorDesc(DataType.INT64, (2,))])


def test_contents_of_shapes_pass_through() -> None:
    sizes = np.empty((), object)
    sizes[()] = BATCH * 3
    scalar = TensorDesc(DataType.INT64, (), value=sizes)
    (vector,) = output_descs(Unsqueeze(axes=(0,)), [scalar])
    assert list(vector.value) == [BATCH * 3]
    assert Squeeze(axes=(0,)).getOutputValue(0, [vector])[()] == BATCH * 3
    constant = TensorDesc(DataType.INT64, (2, 2), value=np.arange(4).reshape(2, 2))
    assert Flatten(axis=0).getOutputValue(0, [constant]).tolist() == [[0, 1, 2, 3]]


def test_views_are_offered_for_dense_memory() -> None:
    source, target = floats(2, 3, 4), floats(6, 4)
    assert Reshape(shape=(6, 4)).aliases([source], [target]) == (ViewOf(0, 0),)
    strided = replace(source, strides=(24, 4, 1))
    assert not Reshape(shape=(6, 4)).aliases([strided], [target])
    last = replace(floats(1, 8, 2, 2), format=Format.CHANNELS_LAST)
    assert Identity().aliases([last], [last]) == (ViewOf(0, 0),)


def test_int8_needs_equal_quantization() -> None:
    stored = TensorDesc(DataType.INT8, (2, 3), quantization=Quantization((0.5,)))
    other = replace(stored, shape=(6,), quantization=Quantization((0.25,)))
    layer = Reshape(shape=(6,))
    assert layer.supportsFormat(Combination((stored,), (replace(stored, shape=(6,)),)))
    assert not layer.supportsFormat(Combination((stored,), (other,)))
    assert layer.outputRange(0) == SameRange(0)


@given(shape=array_shapes(max_dims=5, max_side=4), data=st.data())
def test_any_reshape(shape: Any, data: Any) -> None:
    x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    order = data.draw(st.permutations(shape))
    target = list(order)
    if data.draw(st.booleans()):
        target[data.draw(st.integers(0, len(target) - 1))] = -1
    layer = Reshape(shape=tuple(target))
    (desc,) = output_descs(layer, [TensorDesc(DataType.INT32, shape)])
    assert desc.shape == tuple(order) == layer.reference([x])[0].shape
    np.testing.assert_array_equal(run_layer(layer, [x])[0], x.reshape(order))
