"""Tensor descriptions: formats, strides, slices, quantization."""

from __future__ import annotations

import pytest

from plugrt.plugins import DataType, Format, Quantization, ShapeError, TensorDesc, TensorView

FLOAT32 = DataType.FLOAT32


def test_strides_follow_the_format() -> None:
    shape = (2, 32, 3, 4)
    assert Format.LINEAR.strides(shape) == (384, 12, 4, 1)
    assert Format.CHANNELS_LAST.strides(shape) == (384, 1, 128, 32)
    assert Format.CHANNELS_BLOCKED_16.strides(shape) == (384, 192, 64, 16)


@pytest.mark.parametrize("layout", list(Format))
def test_a_dense_tensor_fills_exactly_its_elements(layout: Format) -> None:
    assert TensorDesc(FLOAT32, (2, 32, 3, 4), layout).nbytes == 2 * 32 * 3 * 4 * 4


def test_blocked_tensors_need_whole_blocks() -> None:
    assert Format.CHANNELS_BLOCKED_16.accepts((1, 32, 3, 3))
    assert not Format.CHANNELS_BLOCKED_16.accepts((1, 24, 3, 3))
    assert not Format.CHANNELS_LAST.accepts((4, 4))


def test_a_channel_slice_is_dense_where_it_is_contiguous() -> None:
    linear = TensorView(TensorDesc(FLOAT32, (1, 8, 2, 2)), slot=3, offset=64)
    part = linear.slice(axis=1, start=2, size=4)
    assert part.desc.is_dense
    assert part.ref == (3, 64 + 2 * 4 * 4)
    batch = TensorView(TensorDesc(FLOAT32, (2, 8, 2, 2)), slot=0)
    assert not batch.slice(1, 2, 4).desc.is_dense
    last = TensorView(TensorDesc(FLOAT32, (1, 8, 2, 2), Format.CHANNELS_LAST), slot=0)
    assert last.slice(1, 2, 4).desc.strides == (32, 1, 16, 8)


def test_slices_of_blocks_keep_blocks_whole() -> None:
    blocked = TensorView(TensorDesc(FLOAT32, (1, 48, 2, 2), Format.CHANNELS_BLOCKED_16), slot=0)
    assert blocked.slice(1, 16, 16).offset == 16 * 4 * 4
    with pytest.raises(ShapeError, match="cut a block"):
        blocked.slice(1, 8, 16)
    with pytest.raises(ShapeError, match="leaves axis 1"):
        blocked.slice(1, 32, 32)


def test_quantization_is_checked() -> None:
    assert Quantization.of(0.5).scale == (0.5,)
    assert Quantization.of([0.5, 1.0], axis=0).axis == 0
    for scale, axis in ((0.0, None), (float("nan"), None), ([1.0, 2.0], None)):
        with pytest.raises(ShapeError):
            Quantization.of(scale, axis=axis)
    with pytest.raises(ShapeError, match="2 zero points do not fit 3 scales"):
        Quantization.of([1.0, 1.0, 1.0], [0, 0], axis=0)


def test_every_type_has_a_numpy_form_and_a_name() -> None:
    for dtype in DataType:
        assert DataType.of(dtype.numpy) is dtype
        assert DataType.of(dtype.value) is dtype
    with pytest.raises(ShapeError, match="'decimal' is not supported"):
        DataType.of("decimal")
