"""Transpose and Pad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.pad import Pad
from plugrt.builtin_layers.transpose import Transpose
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    CalibratedRange,
    DataType,
    Format,
    Quantization,
    SameRange,
    ShapeError,
    TensorDesc,
    ViewOf,
    symbol,
)

CheckLayer = Callable[..., list[str]]


@given(shape=array_shapes(max_dims=5, max_side=5), data=st.data())
def test_any_permutation(shape: Any, data: Any) -> None:
    permutation = tuple(data.draw(st.permutations(range(len(shape)))))
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    layer = Transpose(permutation=permutation)
    (desc,) = output_descs(layer, [TensorDesc(DataType.FLOAT32, shape)])
    expected = x.transpose(permutation)
    assert desc.shape == expected.shape
    np.testing.assert_array_equal(layer.reference([x])[0], expected)
    np.testing.assert_array_equal(run_layer(layer, [x])[0], expected)


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize("output_layout", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize("permutation", [(), (0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 3, 2)])
def test_transpose_between_formats(
    layout: Format, output_layout: Format, permutation: Any, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.integers(0, 100, (2, 3, 4, 5)).astype(np.int8)
    layer = Transpose(permutation=permutation)
    assert every_tactic(layer, [x], layout=layout, output_layout=output_layout)


def test_transpose_to_channels_last_is_a_view_of_channels_last() -> None:
    source = TensorDesc(DataType.FLOAT32, (2, 3, 4, 5), Format.CHANNELS_LAST)
    target = TensorDesc(DataType.FLOAT32, (2, 4, 5, 3))
    layer = Transpose(permutation=(0, 2, 3, 1))
    assert layer.aliases([source], [target]) == (ViewOf(0, 0),)
    assert not layer.aliases([replace(source, format=Format.LINEAR)], [target])


def test_transpose_rules() -> None:
    batch = symbol("N")
    x = TensorDesc(DataType.FLOAT32, (batch, 3, 8))
    assert Transpose(permutation=(0, 2, 1)).getOutputDimensions(0, [x]) == (batch, 8, 3)
    assert Transpose().outputRange(0) == SameRange(0)
    with pytest.raises(ShapeError, match=r"permutation \(1, 0\) does not fit Nx3x8"):
        Transpose(permutation=(1, 0)).getOutputDimensions(0, [x])
    with pytest.raises(ShapeError, match="name an axis twice"):
        Transpose(permutation=(0, 1, 1)).getOutputDimensions(0, [x])


@given(shape=array_shapes(min_dims=1, max_dims=4, max_side=4), data=st.data())
def test_any_padding(shape: Any, data: Any) -> None:
    border = [data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in shape]
    padding = [before for before, _ in border] + [behind for _, behind in border]
    x = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    layer = Pad(padding=padding, value=-7.0)
    expected = np.pad(x, border, constant_values=-7)
    (desc,) = output_descs(layer, [TensorDesc(DataType.FLOAT32, shape)])
    assert desc.shape == expected.shape
    np.testing.assert_array_equal(layer.reference([x])[0], expected)
    np.testing.assert_array_equal(run_layer(layer, [x])[0], expected)


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize(
    "padding", [(0, 0, 1, 2, 0, 0, 3, 0), (1, 16, 0, 0, 0, 0, 2, 0), (0, 0, -1, 1, 0, 0, 2, -2)]
)
def test_pad_in_every_format(
    layout: Format, padding: Any, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.normal(size=(2, 16, 4, 5)).astype(np.float32)
    assert every_tactic(Pad(padding=padding, value=0.5), [x], layout=layout)


def test_negative_padding_crops() -> None:
    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    (result,) = run_layer(Pad(padding=(-1, 2, 0, -1), value=9), [x])
    np.testing.assert_array_equal(result, [[9, 9, 4, 5, 6], [9, 9, 8, 9, 10]])


def test_int8_border_is_stored_at_scale() -> None:
    stored = TensorDesc(DataType.UINT8, (1, 3), quantization=Quantization((0.5,), (10,)))
    padded = replace(stored, shape=(1, 5))
    x = np.array([[1, 2, 3]], np.uint8)
    for value, border in ((0.0, 10), (2.0, 14), (1000.0, 255)):
        layer = Pad(padding=(0, 1, 0, 1), value=value)
        (result,) = run_layer(layer, [x], inputs=[stored], outputs=[padded])
        assert result.tolist() == [[border, 1, 2, 3, border]]


def test_pad_rules() -> None:
    batch = symbol("N")
    x = TensorDesc(DataType.FLOAT32, (batch, 3))
    assert Pad(padding=(0, 1, 0, 1)).getOutputDimensions(0, [x]) == (batch, 5)
    with pytest.raises(ShapeError, match="has 2 entries; Nx3 needs 4"):
        Pad(padding=(1, 1)).getOutputDimensions(0, [x])
    with pytest.raises(ShapeError, match="crops more than Nx3 has"):
        Pad(padding=(0, -2, 0, -2)).getOutputDimensions(0, [x])
    assert Pad(padding=(0, 1, 0, 1)).outputRange(0) == SameRange(0)
    assert Pad(padding=(0, 1, 0, 1), value=3).outputRange(0) == CalibratedRange()
