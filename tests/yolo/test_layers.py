"""The layers of yolo_example against their definitions and NumPy references."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt import DataType, Format, LayerAttributeError, ShapeError
from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import (
    Array,
    Combination,
    Epilogue,
    EpilogueStep,
    Input,
    Quantization,
    TacticRequest,
    TensorDesc,
    symbol,
)
from yolo_example.layers import (
    DetectionLayer,
    GaussianYolo,
    Loggy,
    Ramp,
    Region,
    Reorg,
    Yolo,
)

DETECTORS: dict[str, DetectionLayer] = {
    "yolo": Yolo(classes=3, anchors=(1, 2, 3, 4)),
    "masked": Yolo(classes=3, anchors=(1, 2, 3, 4, 5, 6), mask=(2, 0), scale_x_y=1.1),
    "new_coords": Yolo(classes=3, anchors=(1, 2, 3, 4), new_coords=True, scale_x_y=2.0),
    "region": Region(classes=3, anchors=(1, 2, 3, 4)),
    "region_logistic": Region(classes=3, anchors=(1, 2, 3, 4), softmax=False),
    "region_coords": Region(classes=1, anchors=(1, 2, 3, 4), coords=6),
    "region_background": Region(classes=3, anchors=(1, 2, 3, 4), background=True),
    "region_raw_background": Region(
        classes=3, anchors=(1, 2, 3, 4), background=True, softmax=False
    ),
    "region_tree": Region(classes=3, anchors=(1, 2, 3, 4), parents=(-1, 0, 0)),
    "gaussian_yolo": GaussianYolo(classes=7, anchors=(1, 2), scale_x_y=1.2),
}


def logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def random_values(*shape: int, spread: float = 3) -> Array:
    values = np.random.default_rng(0).standard_normal(shape) * spread
    return values.astype(np.float32)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("shape", [(1, 16, 1, 1), (2, 16, 7, 9), (1, 16, 40, 33)])
@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_agree_with_references(name: str, shape: tuple[int, ...], threads: int) -> None:
    layer = DETECTORS[name].clone()
    values = random_values(*shape)
    (result,) = run_layer(layer, [values], threads=threads)
    np.testing.assert_allclose(result, layer.reference([values])[0], rtol=3e-7, atol=2e-7)


def test_extreme_values() -> None:
    values = np.full((1, 16, 1, 8), 100.0, np.float32)
    values[..., 1], values[..., 2], values[..., 3] = -100, np.inf, -np.inf
    values[..., 4], values[..., 5] = np.nan, -0.0
    for layer in DETECTORS.values():
        layer = layer.clone()
        if isinstance(layer, Region) and (layer.softmax or layer.parents):
            continue  # a softmax of equal infinities has no value
        with np.errstate(invalid="ignore"):
            expected = layer.reference([values])[0]
        (result,) = run_layer(layer, [values])
        np.testing.assert_allclose(result, expected, rtol=3e-7, atol=1e-37)


def test_yolo_by_its_definition() -> None:
    values = random_values(2, 16, 3, 4)
    layer = Yolo(classes=3, anchors=(1, 2, 3, 4), scale_x_y=1.2)
    planes = run_layer(layer, [values])[0].reshape(2, 2, 8, 3, 4)
    given_planes = values.reshape(2, 2, 8, 3, 4)
    centre = logistic(given_planes[:, :, :2]) * 1.2 - 0.1
    np.testing.assert_allclose(planes[:, :, :2], centre, atol=3e-7)
    np.testing.assert_array_equal(planes[:, :, 2:4], given_planes[:, :, 2:4])
    np.testing.assert_allclose(planes[:, :, 4:], logistic(given_planes[:, :, 4:]), atol=2e-7)


def test_region_by_its_definition() -> None:
    values = random_values(1, 16, 3, 4)
    planes = run_layer(Region(classes=3, anchors=(1, 2, 3, 4)), [values])[0].reshape(2, 8, 3, 4)
    given_planes = values.reshape(2, 8, 3, 4).astype(np.float64)
    powers = np.exp(given_planes[:, 5:])
    np.testing.assert_allclose(planes[:, 5:], powers / powers.sum(axis=1, keepdims=True), atol=2e-7)
    np.testing.assert_allclose(planes[:, 5:].sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(planes[:, 4], logistic(given_planes[:, 4]), atol=2e-7)


def test_wrong_attributes_are_refused() -> None:
    for anchors in ((), (1.0, 2.0, 3.0)):
        with pytest.raises(LayerAttributeError, match="pairs of numbers"):
            Region(anchors=anchors)
    with pytest.raises(LayerAttributeError, match="mask"):
        Yolo(anchors=(1, 2), mask=(1,), image_size=(4, 4)).clone(mask=(-1,))
    with pytest.raises(LayerAttributeError, match="two numbers"):
        Yolo(anchors=(1, 2), image_size=(416,))


def test_detection_layers_check_their_input() -> None:
    layer = DETECTORS["yolo"]
    good = TensorDesc(DataType.FLOAT32, (symbol("N"), 16, symbol("H"), 4))
    assert layer.getOutputDimensions(0, [good]) == good.shape
    for shape in ((1, 15, 4, 4), (1, 16, 4)):
        with pytest.raises(ShapeError, match=r"need \[N, 16, height, width\]"):
            layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])


def test_detection_layers_take_linear_floats_only() -> None:
    layer = DETECTORS["yolo"]
    linear = TensorDesc(DataType.FLOAT32, (1, 16, 4, 4))
    assert layer.supportsFormat(Combination((linear,), (linear,)))
    for other in (
        replace(linear, format=Format.CHANNELS_LAST),
        replace(linear, dtype=DataType.FLOAT16),
        replace(linear, dtype=DataType.INT8, quantization=Quantization((0.1,))),
    ):
        assert not layer.supportsFormat(Combination((other,), (linear,)))
        assert not layer.supportsFormat(Combination((linear,), (other,)))


def test_detection_layers_take_no_epilogue() -> None:
    linear = TensorDesc(DataType.FLOAT32, (1, 16, 4, 4))
    epilogue = Epilogue((EpilogueStep(Input(0) * 2),))
    assert not DETECTORS["yolo"].getTactics(TacticRequest((linear,), (linear,), epilogue))
    (tactic,) = DETECTORS["yolo"].getTactics(TacticRequest((linear,), (linear,)))
    assert tactic.may_alias == {0}


@pytest.mark.parametrize("name", DETECTORS)
def test_state_survives_serialisation(name: str) -> None:
    layer = DETECTORS[name].clone(names=("dog", "cat", "Käfer"))
    again = type(layer).deserialize(layer.serialize(), layer.state_version)
    assert again.attribute_values == layer.attribute_values
    assert again.names[2] == "Käfer"


def darknet_reorg(x: Array, stride: int, shape: tuple[int, ...], gather: bool) -> Array:
    """Element by element, as the first Darknet does it, for one image."""
    channels, height, width = shape
    narrow = channels // stride**2
    source, result = x.ravel(), np.empty_like(x).ravel()
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                flat = i + width * (j + height * k)
                row, column = j * stride + k // narrow // stride, i * stride + k // narrow % stride
                moved = column + width * stride * (row + height * stride * (k % narrow))
                if gather:
                    result[flat] = source[moved]
                else:
                    result[moved] = source[flat]
    return result


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_reorg_by_darknets_definition(stride: int) -> None:
    shape = (2 * stride**2, 2 * stride, 3 * stride)
    x = random_values(1, *shape)
    for reverse in (False, True):
        (result,) = run_layer(Reorg(stride=stride, reverse=reverse), [x])
        expected = darknet_reorg(x, stride, shape, gather=not reverse)
        np.testing.assert_array_equal(result.ravel(), expected)


def test_reorg_in_blocks_is_undone_by_its_reverse() -> None:
    x = random_values(2, 3, 4, 6)
    (wide,) = run_layer(Reorg(order="blocks"), [x])
    assert wide.shape == (2, 12, 2, 3)
    np.testing.assert_array_equal(wide[:, 3 * 2 + 1, 1, 2], x[:, 1, 3, 4])  # block 2: (1, 0)
    (again,) = run_layer(Reorg(reverse=True), [wide])
    np.testing.assert_array_equal(again, x)


@settings(max_examples=40)
@given(
    stride=st.integers(1, 3),
    narrow=st.integers(1, 3),
    rows=st.integers(1, 3),
    columns=st.integers(1, 4),
    images=st.integers(1, 2),
    reverse=st.booleans(),
    order=st.sampled_from(["darknet", "blocks"]),
    dtype=st.sampled_from([np.int8, np.float16, np.float32, np.int64]),
)
def test_reorg_kernels_agree_with_references(
    stride: int, narrow: int, rows: int, columns: int, images: int, reverse: bool, order: str,
    dtype: type,
) -> None:  # fmt: skip
    shape = (images, narrow * stride**2, rows * stride, columns * stride)
    x = np.random.default_rng(1).integers(-100, 100, shape).astype(dtype)
    layer = Reorg(stride=stride, reverse=reverse, order=order)
    (result,) = run_layer(layer, [x])
    np.testing.assert_array_equal(result, layer.reference([x])[0])
    assert result.shape == layer.getOutputDimensions(0, [TensorDesc(DataType.of(dtype), shape)])


def test_reorg_keeps_symbolic_sizes_and_refuses_others() -> None:
    n = symbol("N")
    desc = TensorDesc(DataType.FLOAT32, (n, 4, 6, 8))
    assert Reorg().getOutputDimensions(0, [desc]) == (n, 16, 3, 4)
    assert Reorg(reverse=True).getOutputDimensions(0, [desc]) == (n, 1, 12, 16)
    for layer, shape in (
        (Reorg(stride=5), (1, 25, 6, 8)),
        (Reorg(), (1, 3, 6, 8)),
        (Reorg(reverse=True), (1, 3, 6, 8)),
        (Reorg(), (1, 4, 6)),
    ):
        with pytest.raises(ShapeError):
            layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])


def test_reorg_takes_any_type_on_one_scale() -> None:
    stored = TensorDesc(DataType.INT8, (1, 4, 4, 4), quantization=Quantization((0.1,)))
    other = replace(stored, quantization=Quantization((0.2,)))
    assert Reorg().supportsFormat(Combination((stored,), (stored,)))
    assert not Reorg().supportsFormat(Combination((stored,), (other,)))


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (Ramp(), lambda x: x * (x > 0) + 0.1 * x),
        (Loggy(), lambda x: 2 / (1 + np.exp(-x)) - 1),
    ],
)
def test_activations_by_their_definition(layer: Ramp, function: np.ufunc) -> None:
    x = random_values(2, 3, 5)
    (result,) = run_layer(layer, [x])
    np.testing.assert_allclose(result, function(x.astype(np.float64)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.reference([x])[0], function(x), rtol=1e-6)
