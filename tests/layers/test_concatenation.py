"""Concatenation: copies, and inputs that lie in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers.concatenation import Concatenation
from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    Quantization,
    ShapeError,
    SliceOf,
    TensorDesc,
    symbol,
)

F32 = DataType.FLOAT32
Check = Callable[..., list[str]]


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_every_axis_and_format(
    every_tactic: Check, rng: Any, layout: Format, axis: int, dtype: Any
) -> None:
    shapes = [[2, 16, 3, 4], [2, 16, 3, 4], [2, 16, 3, 4]]
    for index, shape in enumerate(shapes):
        shape[axis] *= index + 1
    arrays = [rng.integers(-99, 99, shape).astype(dtype) for shape in shapes]
    layer = Concatenation(axis=axis)
    assert every_tactic(layer, arrays, layout=layout, rtol=0, atol=0) == ["copy"]


def test_odd_channels(every_tactic: Check, rng: Any) -> None:
    arrays = [rng.standard_normal((2, c, 3, 5)).astype(np.float32) for c in (3, 1, 24)]
    for layout in (Format.LINEAR, Format.CHANNELS_LAST):
        assert every_tactic(Concatenation(), arrays, layout=layout, rtol=0, atol=0)


def test_offers_slices() -> None:
    descs = [TensorDesc(F32, (1, c, 4, 4), Format.CHANNELS_BLOCKED_16) for c in (16, 48)]
    output = TensorDesc(F32, (1, 64, 4, 4), Format.CHANNELS_BLOCKED_16)
    assert Concatenation().aliases(descs, [output]) == [SliceOf(0, 0, 1, 0), SliceOf(1, 0, 1, 16)]


def test_scales_and_types_must_be_equal() -> None:
    low = TensorDesc(DataType.INT8, (1, 8, 4, 4), quantization=Quantization((0.1,)))
    other = replace(low, quantization=Quantization((0.2,)))
    layer = Concatenation()
    assert layer.supportsFormat(Combination((low, low), (low,)))
    assert not layer.supportsFormat(Combination((low, other), (low,)))
    assert not layer.supportsFormat(
        Combination((low, replace(low, format=Format.CHANNELS_LAST)), (low,))
    )


def test_shapes() -> None:
    batch, channels = symbol("batch"), symbol("channels")
    descs = [TensorDesc(F32, (batch, c, 4)) for c in (3, channels, 5)]
    layer = Concatenation()
    assert layer.getOutputDimensions(0, descs) == (batch, channels + 8, 4)
    with pytest.raises(ShapeError, match="all other sizes must be equal"):
        layer.getOutputDimensions(0, [*descs, TensorDesc(F32, (batch, 3, 5))])
    with pytest.raises(ShapeError, match="types"):
        layer.getOutputDimensions(0, [*descs, TensorDesc(DataType.INT8, (batch, 3, 4))])
    with pytest.raises(ShapeError, match="no inputs"):
        layer.getOutputDimensions(0, [])
