"""Slice and Split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from plugrt.builtin_layers.slice import Slice
from plugrt.builtin_layers.split import Split
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    LayerAttributeError,
    Quantization,
    SameRange,
    ShapeError,
    TensorDesc,
    ViewOf,
    symbol,
)
from plugrt.plugins.dims import evaluate_shape

CheckLayer = Callable[..., list[str]]
BATCH = symbol("N")
BIG = 2**31 - 1


@given(shape=array_shapes(max_dims=4, max_side=6), data=st.data())
def test_any_slice_is_numpys(shape: Any, data: Any) -> None:
    bounds = st.integers(-8, 8) | st.sampled_from([BIG, -BIG])
    axes = data.draw(
        st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1), label="axes"
    )
    starts = [data.draw(bounds) for _ in axes]
    ends = [data.draw(bounds) for _ in axes]
    steps = [data.draw(st.integers(-3, 3).filter(bool)) for _ in axes]
    layer = Slice(starts=starts, ends=ends, axes=axes, steps=steps)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(start, end, step)
    expected = x[tuple(index)]
    (desc,) = output_descs(layer, [TensorDesc(DataType.FLOAT32, shape)])
    assert desc.shape == expected.shape
    np.testing.assert_array_equal(layer.reference([x])[0], expected)
    np.testing.assert_array_equal(run_layer(layer, [x])[0], expected)


@given(
    start=st.integers(-4, 4), end=st.integers(-4, 9) | st.just(BIG), step=st.integers(1, 3),
    size=st.integers(4, 12),
)  # fmt: skip
def test_symbolic_axis_agrees_with_numbers(start: int, end: int, step: int, size: int) -> None:
    layer = Slice(starts=(start,), ends=(end,), steps=(step,))
    expected = len(range(*slice(start, end, step).indices(size)))
    (dim,) = layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, (BATCH,))])
    (evaluated,) = evaluate_shape((dim,), {"N": size})
    assert max(evaluated, 0) == expected


def test_symbolic_axes_stay_simple() -> None:
    x = TensorDesc(DataType.FLOAT32, (BATCH, 8))
    assert Slice(starts=(2,), ends=(5,), axes=(1,)).getOutputDimensions(0, [x]) == (BATCH, 3)
    assert Slice(starts=(0,), ends=(BIG,)).getOutputDimensions(0, [x]) == (BATCH, 8)
    assert Slice(starts=(-1,), ends=(BIG,)).getOutputDimensions(0, [x]) == (1, 8)
    assert Slice(starts=(0,), ends=(-1,)).getOutputDimensions(0, [x]) == (BATCH - 1, 8)


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_slices_in_every_format(
    layout: Format, dtype: Any, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.integers(-9, 9, (2, 48, 5, 6)).astype(dtype)
    blocks = Slice(starts=(16, 1), ends=(48, 5), axes=(1, 3), steps=(1, 2))
    assert every_tactic(blocks, [x], layout=layout)
    cut = Slice(starts=(8,), ends=(24,), axes=(1,))
    assert bool(every_tactic(cut, [x], layout=layout)) is (
        layout is not Format.CHANNELS_BLOCKED_16
    )


def test_slice_attributes_must_match() -> None:
    with pytest.raises(LayerAttributeError, match=r"ends=\(1,\) has 1 entries"):
        Slice(starts=(0, 0), ends=(1,))
    with pytest.raises(LayerAttributeError, match="steps other than 0"):
        Slice(starts=(0,), ends=(1,), steps=(0,))


def test_slice_offers_views_of_gapless_memory() -> None:
    x = TensorDesc(DataType.FLOAT32, (2, 8, 3, 3))
    rows = Slice(starts=(1,), ends=(2,))
    assert rows.aliases([x], [TensorDesc(DataType.FLOAT32, (1, 8, 3, 3))]) == (
        ViewOf(0, 0, 72 * 4),
    )
    channels = Slice(starts=(2,), ends=(4,), axes=(1,))
    assert channels.aliases([x], [TensorDesc(DataType.FLOAT32, (2, 2, 3, 3))]) == (
        ViewOf(0, 0, 18 * 4, (72, 9, 3, 1)),  # for readers that take gaps
    )
    for other in (
        Slice(starts=(0, 1), ends=(8, 3), axes=(1, 2)), Slice(starts=(1,), ends=(2,), axes=(3,)),
        Slice(starts=(0,), ends=(8,), axes=(1,), steps=(2,)),
    ):  # fmt: skip
        shape = other.getOutputDimensions(0, [x])
        assert not other.aliases([x], [TensorDesc(DataType.FLOAT32, shape)])
    one = replace(x, shape=(1, 8, 3, 3))
    output = TensorDesc(DataType.FLOAT32, (1, 2, 3, 3))
    assert channels.aliases([one], [output]) == (ViewOf(0, 0, 18 * 4),)


def test_slice_of_a_shape() -> None:
    sizes = np.empty(4, object)
    sizes[:] = [BATCH, 3, 20, 30]
    known = TensorDesc(DataType.INT64, (4,), value=sizes)
    assert Slice(starts=(2,), ends=(4,)).getOutputValue(0, [known]).tolist() == [20, 30]
    assert list(Slice(starts=(0,), ends=(2,)).getOutputValue(0, [known])) == [BATCH, 3]
    assert list(Split(axis=0, sizes=(1, 3)).getOutputValue(0, [known])) == [BATCH]


@pytest.mark.parametrize("layout", list(Format))
def test_split(layout: Format, every_tactic: CheckLayer, rng: Any) -> None:
    x = rng.normal(size=(2, 48, 5, 6)).astype(np.float32)
    layer = Split(sizes=(16, 32))
    pieces = layer.reference([x])
    np.testing.assert_array_equal(np.concatenate(pieces, 1), x)
    assert [piece.shape[1] for piece in pieces] == [16, 32]
    assert every_tactic(layer, [x], layout=layout)
    assert every_tactic(Split(axis=-1, sizes=(1, 5)), [x], layout=layout)
    blocked = layout is Format.CHANNELS_BLOCKED_16
    assert bool(every_tactic(Split(sizes=(8, 40)), [x], layout=layout)) is not blocked


@given(shape=array_shapes(max_dims=4, max_side=5), data=st.data())
def test_any_split(shape: Any, data: Any) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    first = data.draw(st.integers(0, shape[axis]))
    sizes = (first, shape[axis] - first)
    x = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    layer = Split(axis=axis, sizes=sizes)
    descs = output_descs(layer, [TensorDesc(DataType.INT64, shape)])
    expected = np.split(x, [first], axis)
    assert [desc.shape for desc in descs] == [piece.shape for piece in expected]
    for mine, wanted in zip(run_layer(layer, [x]), expected, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_split_offers_views() -> None:
    layer = Split(sizes=(2, 6))
    x = TensorDesc(DataType.FLOAT32, (1, 8, 3, 3))
    outputs = [TensorDesc(DataType.FLOAT32, (1, n, 3, 3)) for n in (2, 6)]
    assert layer.aliases([x], outputs) == [ViewOf(0, 0), ViewOf(1, 0, 2 * 9 * 4)]
    two = [replace(desc, shape=(2, *desc.shape[1:])) for desc in (x, *outputs)]
    gaps = (72, 9, 3, 1)
    assert layer.aliases(two[:1], two[1:]) == [
        ViewOf(0, 0, 0, gaps), ViewOf(1, 0, 2 * 9 * 4, gaps),
    ]  # fmt: skip
    rows = Split(axis=2, sizes=(1, 2))
    assert rows.aliases([x], [replace(x, shape=(1, 8, n, 3)) for n in (1, 2)]) == []


def test_split_rules() -> None:
    with pytest.raises(ShapeError, match="add up to 5, axis 1 of 1x8 has 8"):
        Split(sizes=(2, 3)).getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, (1, 8))])
    symbolic = TensorDesc(DataType.FLOAT32, (BATCH, 8))
    assert Split(sizes=(2, 6)).getOutputDimensions(1, [symbolic]) == (BATCH, 6)
    assert Split(sizes=(2, 6)).outputRange(1) == SameRange(0)
    stored = TensorDesc(DataType.UINT8, (1, 8), quantization=Quantization((0.1,), (128,)))
    outputs = [replace(stored, shape=(1, n)) for n in (2, 6)]
    assert Split(sizes=(2, 6)).supportsFormat(Combination((stored,), tuple(outputs)))
    outputs[1] = replace(outputs[1], quantization=None)
    assert not Split(sizes=(2, 6)).supportsFormat(Combination((stored,), tuple(outputs)))
