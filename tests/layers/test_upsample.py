"""Upsample in every format, type and mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt.builtin_layers.upsample import Upsample
from plugrt.core.devices.cpu import CpuStream, SlotTable
from plugrt.core.runtime.buffers import allocate, from_memory, to_memory
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.core.runtime.weight_store import PackedWeights, RecordingStore
from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    LayerAttributeError,
    Quantization,
    SameRange,
    ShapeError,
    TensorDesc,
    TensorView,
    symbol,
)

CheckLayer = Callable[..., list[str]]


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("scales", [(2, 2), (3, 1), (1, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.float16, np.float64])
def test_nearest(
    scales: Any, layout: Format, dtype: Any, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.integers(-100, 100, (2, 32, 5, 7)).astype(dtype)
    layer = Upsample(scales=scales)
    rows = np.arange(5 * scales[0]) // scales[0]
    columns = np.arange(7 * scales[1]) // scales[1]
    np.testing.assert_array_equal(layer.reference([x])[0], x[:, :, rows][..., columns])
    assert every_tactic(layer, [x], layout=layout, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(2, 16, 6), (1, 16, 3, 4, 5)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("layout", list(Format))
def test_one_and_three_spatial_axes(
    shape: Any, mode: str, layout: Format, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.normal(size=shape).astype(np.float32)
    scales = (2, 3, 1)[: len(shape) - 2]
    assert every_tactic(Upsample(scales=scales, mode=mode), [x], layout=layout, atol=1e-6)


def sampled(image: Any, scale: int, coordinates: str) -> Any:
    """Bilinear enlargement of one [H, W] image, output by output."""
    height, width = image.shape
    result = np.zeros((height * scale, width * scale))

    def locate(i: int, size: int) -> tuple[int, int, float]:
        position = {
            "half_pixel": (i + 0.5) / scale - 0.5,
            "asymmetric": i / scale,
            "align_corners": i * (size - 1) / (size * scale - 1),
        }[coordinates]
        position = min(max(position, 0.0), size - 1.0)
        below = int(position)
        return below, min(below + 1, size - 1), position - below

    for y, x in np.ndindex(*result.shape):
        top, bottom, down = locate(y, height)
        left, right, across = locate(x, width)
        upper = image[top, left] * (1 - across) + image[top, right] * across
        lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
        result[y, x] = upper * (1 - down) + lower * down
    return result


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_linear(coordinates: str, layout: Format, every_tactic: CheckLayer, rng: Any) -> None:
    x = rng.normal(size=(1, 16, 4, 5)).astype(np.float32)
    layer = Upsample(scales=(3, 3), mode="linear", coordinates=coordinates)
    expected = sampled(x[0, 7].astype(np.float64), 3, coordinates)
    np.testing.assert_allclose(layer.reference([x])[0][0, 7], expected, atol=1e-5)
    assert every_tactic(layer, [x], layout=layout, rtol=1e-5, atol=1e-6)


@given(
    batch=st.integers(0, 2), channels=st.integers(1, 3), height=st.integers(1, 4),
    width=st.integers(1, 9), scale=st.integers(1, 4),
)  # fmt: skip
def test_any_size(batch: int, channels: int, height: int, width: int, scale: int) -> None:
    shape = (batch, channels, height, width)
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    layer = Upsample(scales=(scale, 2))
    (desc,) = output_descs(layer, [TensorDesc(DataType.FLOAT32, shape)])
    (expected,) = layer.reference([x])
    assert desc.shape == expected.shape
    np.testing.assert_array_equal(run_layer(layer, [x])[0], expected)


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_input_and_output_may_be_slices(layout: Format, mode: str, rng: Any) -> None:
    # A description with strides stands for a slice of channels 0:16 out of 48.
    x = rng.normal(size=(2, 48, 3, 4)).astype(np.float32)
    layer = Upsample(mode=mode)
    whole = TensorDesc(DataType.FLOAT32, x.shape, layout)
    large = TensorDesc(DataType.FLOAT32, (2, 48, 6, 8), layout)
    part = replace(whole, shape=(2, 16, 3, 4), strides=whole.element_strides)
    into = replace(large, shape=(2, 16, 6, 8), strides=large.element_strides)
    slots = SlotTable()
    stream = CpuStream(slots, RecordingStore(PackedWeights(), slots), 2)
    stream.begin_layer("upsample")
    memory = to_memory(x, layout)
    result = allocate(large.nbytes)
    result[:] = 0
    views = [TensorView(part, slots.bind(memory))], [TensorView(into, slots.bind(result))]
    layer.enqueue(*views, None, stream)
    stream.finish().replay()
    got = from_memory(result.view(np.float32), large.sizes, layout)
    np.testing.assert_allclose(got[:, :16], layer.reference([x[:, :16]])[0], atol=1e-6)
    assert not got[:, 16:].any()


def test_rules() -> None:
    batch = symbol("N")
    x = TensorDesc(DataType.FLOAT32, (batch, 3, 4, symbol("W")))
    assert Upsample(scales=(2, 3)).getOutputDimensions(0, [x]) == (batch, 3, 8, symbol("W") * 3)
    assert Upsample().outputRange(0) == SameRange(0)
    with pytest.raises(ShapeError, match=r"scales \(2,\) do not fit"):
        Upsample(scales=(2,)).getOutputDimensions(0, [x])
    with pytest.raises(ShapeError, match="linear interpolation of int8"):
        Upsample(mode="linear").getOutputDataType(0, [DataType.INT8])
    with pytest.raises(LayerAttributeError, match="factors of 1 and above"):
        Upsample(scales=(0, 2))
    with pytest.raises(LayerAttributeError, match="'nearest', 'linear'"):
        Upsample(mode="cubic")


def test_int8_needs_equal_quantization() -> None:
    stored = TensorDesc(DataType.INT8, (1, 3, 4, 4), quantization=Quantization((0.5,)))
    large = replace(stored, shape=(1, 3, 8, 8))
    assert Upsample().supportsFormat(Combination((stored,), (large,)))
    rescaled = replace(large, quantization=Quantization((0.25,)))
    assert not Upsample().supportsFormat(Combination((stored,), (rescaled,)))
    assert not Upsample(mode="linear").supportsFormat(Combination((stored,), (large,)))
