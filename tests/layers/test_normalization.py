"""BatchNormalization, Scale, LRN, Softmax and LogSoftmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers.batch_normalization import BatchNormalization, Scale
from plugrt.builtin_layers.lrn import LRN
from plugrt.builtin_layers.softmax import LogSoftmax, Softmax
from plugrt.plugins import DataType, Epilogue, EpilogueStep, Format, Input, ShapeError, TensorDesc
from plugrt.plugins.expression import maximum

F32 = DataType.FLOAT32
Check = Callable[..., list[str]]
FORMATS = list(Format)


def statistics(rng: Any, channels: int) -> list[Any]:
    arrays = [rng.standard_normal(channels) for _ in range(3)]
    return [a.astype(np.float32) for a in (*arrays, rng.uniform(0.5, 2, channels))]


@pytest.mark.parametrize("outer", [0.0, 1e-3])
@pytest.mark.parametrize("layout", FORMATS)
def test_batch_normalization(
    every_tactic: Check, rng: Any, layout: Format, outer: float
) -> None:
    source = rng.standard_normal((2, 32, 5, 3)).astype(np.float32)
    arrays = [source, *statistics(rng, 32)]
    layer = BatchNormalization(epsilon=1e-3, outer_epsilon=outer)
    scale, shift, mean, variance = (a.astype(np.float64)[:, None, None] for a in arrays[1:])
    expected = (source - mean) / (np.sqrt(variance + 1e-3) + outer) * scale + shift
    np.testing.assert_allclose(layer.reference(arrays)[0], expected, rtol=1e-4, atol=1e-4)
    assert every_tactic(layer, arrays, layout=layout, constants=range(1, 5))
    assert every_tactic(layer, arrays, layout=layout)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shifted", [True, False])
def test_scale(every_tactic: Check, rng: Any, axis: int, shifted: bool) -> None:
    source = rng.standard_normal((4, 6, 5)).astype(np.float32)
    vectors = [rng.standard_normal(source.shape[axis]).astype(np.float32) for _ in range(2)]
    arrays = [source, *vectors[: 1 + shifted]]
    layer = Scale(axis=axis, shifted=shifted)
    shape = [-1 if k == axis else 1 for k in range(3)]
    expected = source * vectors[0].reshape(shape)
    if shifted:
        expected = expected + vectors[1].reshape(shape)
    np.testing.assert_allclose(layer.reference(arrays)[0], expected, rtol=1e-5, atol=1e-5)
    assert every_tactic(layer, arrays)


def test_per_channel_layers_refuse() -> None:
    source, vector = TensorDesc(F32, (1, 8, 4)), TensorDesc(F32, (7,))
    with pytest.raises(ShapeError, match="one value for each of the 8 channels"):
        Scale(shifted=False).getOutputDimensions(0, [source, vector])
    with pytest.raises(ShapeError, match="axis 3 does not exist"):
        Scale(axis=3, shifted=False).getOutputDimensions(0, [source, vector])
    with pytest.raises(ShapeError, match="shifted"):
        Scale().getOutputDimensions(0, [source, TensorDesc(F32, (8,))])
    fine = TensorDesc(F32, (8,))
    with pytest.raises(ShapeError, match="variance"):
        BatchNormalization().getOutputDimensions(0, [source, fine, fine, fine, vector])


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("layout", FORMATS)
def test_lrn(every_tactic: Check, rng: Any, layout: Format, size: int) -> None:
    source = rng.standard_normal((2, 32, 4, 5)).astype(np.float32)
    layer = LRN(size=size, alpha=0.3, beta=0.75, bias=2.0)
    expected = np.empty(source.shape)
    for channel in range(32):
        seen = range(max(0, channel - (size - 1) // 2), min(32, channel + size // 2 + 1))
        total = sum(source[:, k].astype(np.float64) ** 2 for k in seen)
        expected[:, channel] = source[:, channel] / (2.0 + 0.3 / size * total) ** 0.75
    np.testing.assert_allclose(layer.reference([source])[0], expected, rtol=1e-5, atol=1e-6)
    names = every_tactic(layer, [source], layout=layout)
    if size % 2:
        assert names
        assert "numpy" not in names
    elif layout is Format.LINEAR:
        assert names == ["numpy"]


AXES = [((3, 7), -1), ((2, 10, 4, 5), 1), ((2, 10, 4, 5), 3), ((5,), 0), ((1, 1000), 1),
        ((2, 3, 129), 1), ((3, 2, 70), 0)]  # fmt: skip


@pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_softmax(
    every_tactic: Check, rng: Any, kind: Any, layout: Format, shape: Any, axis: int
) -> None:
    source = (rng.standard_normal(shape) * 10).astype(np.float32)
    layer = kind(axis=axis)
    exact = np.exp(source.astype(np.float64))
    exact /= exact.sum(axis=axis, keepdims=True)
    expected = np.log(exact) if kind is LogSoftmax else exact
    np.testing.assert_allclose(layer.reference([source])[0], expected, rtol=1e-5, atol=1e-6)
    close = 1e-5 if kind is LogSoftmax else 2e-6
    names = every_tactic(layer, [source], layout=layout, rtol=close, atol=close)
    if layout is Format.LINEAR or (axis == 1 and len(shape) > 2):
        assert "kernel" in names


def test_softmax_of_extremes(every_tactic: Check) -> None:
    source = np.array([[1e4, 0, -1e4, -np.inf], [88, -88, 3, 3]], np.float32)
    assert "kernel" in every_tactic(Softmax(), [source], rtol=1e-6, atol=0)


def test_softmax_of_other_types(every_tactic: Check, rng: Any) -> None:
    assert every_tactic(Softmax(), [rng.standard_normal((3, 4))]) == ["numpy"]
    with pytest.raises(ShapeError, match="axis 2"):
        Softmax(axis=2).getOutputDimensions(0, [TensorDesc(F32, (3, 4))])


@pytest.mark.parametrize("layout", [Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16])
def test_lrn_epilogue(every_tactic: Check, rng: Any, layout: Format) -> None:
    source = rng.standard_normal((1, 16, 4, 4)).astype(np.float32)
    epilogue = Epilogue((EpilogueStep(maximum(Input(0), 0)),))
    assert all(
        "onednn" in name
        for name in every_tactic(LRN(size=5), [source], layout=layout, epilogue=epilogue)
    )
