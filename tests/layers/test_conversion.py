"""Cast, Quantize, Dequantize, ConvertType, Copy and Reformat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers.conversion import Cast, ConvertType
from plugrt.builtin_layers.copy_layers import Copy, Reformat
from plugrt.builtin_layers.quantization import Dequantize, Quantize
from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import (
    Combination,
    DataType,
    Format,
    LayerAttributeError,
    Quantization,
    ShapeError,
    TensorDesc,
)

F32, I8, U8 = DataType.FLOAT32, DataType.INT8, DataType.UINT8
Check = Callable[..., list[str]]
FORMATS = list(Format)
NUMBERS = np.array(
    [0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.6, 127.5, 300, -128.4, -129, 1e9, -1e9, 3e9], np.float32
)


WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.mark.parametrize("name", [*WHOLE, "float16", "bfloat16", "float64", "bool"])
def test_cast_from_float(every_tactic: Check, name: str) -> None:
    to = DataType.of(name)
    values = NUMBERS if to is not DataType.FLOAT16 else NUMBERS[:11]
    assert every_tactic(Cast(to=to), [values], rtol=0, atol=0) == ["expression"]


@pytest.mark.parametrize("to", [F32, I8, U8, DataType.INT64, DataType.BOOL])
@pytest.mark.parametrize("source", [np.int64, np.int32, np.uint8, np.bool_])
def test_cast_from_integers(every_tactic: Check, source: Any, to: DataType) -> None:
    values = np.array([0, 1, 2, 100, 127, 128, 255, 256, 1000]).astype(source)
    assert every_tactic(Cast(to=to), [values], rtol=0, atol=0) == ["expression"]


def test_cast_to_types_without_a_native_pass(every_tactic: Check) -> None:
    layer = Cast(to=DataType.FLOAT8_E4M3FN)
    assert every_tactic(layer, [NUMBERS[:6]], rtol=0, atol=0) == ["numpy"]


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("dtype", [I8, U8])
@pytest.mark.parametrize("per_axis", [False, True])
def test_quantize_and_dequantize(
    every_tactic: Check, rng: Any, layout: Format, dtype: DataType, per_axis: bool
) -> None:
    source = (rng.standard_normal((2, 16, 3, 5)) * 4).astype(np.float32)
    count = 16 if per_axis else 1
    attributes = {
        "scale": tuple(2.0 ** -rng.integers(2, 6, count)),
        "zero_point": tuple(rng.integers(-5, 5, count)) if per_axis else (3,),
        "axis": 1,
        "dtype": dtype,
    }
    assert every_tactic(Quantize(**attributes), [source], layout=layout, rtol=0, atol=0)
    small = rng.integers(0, 127, source.shape).astype(dtype.numpy)
    assert every_tactic(Dequantize(**attributes), [small], layout=layout, rtol=1e-6)


def test_quantize_rounds_half_to_even_and_saturates() -> None:
    source = np.array([0.5, 1.5, -0.5, -2.5, 1e9, -1e9, 126.5], np.float32)
    (got,) = run_layer(Quantize(scale=(1.0,)), [source])
    np.testing.assert_array_equal(got, [0, 2, 0, -2, 127, -128, 126])
    (got,) = run_layer(Quantize(scale=(1.0,), zero_point=(3,), dtype=U8), [source])
    np.testing.assert_array_equal(got, [3, 5, 3, 1, 255, 0, 129])


def test_scales_that_do_not_fit_are_refused() -> None:
    with pytest.raises(LayerAttributeError, match="zero_point"):
        Quantize(scale=(1.0, 2.0, 3.0), zero_point=(0, 1))
    with pytest.raises(LayerAttributeError, match="above zero"):
        Quantize(scale=(0.0,))
    with pytest.raises(ShapeError, match="2 scales do not fit axis 1 of size 4"):
        Quantize(scale=(1.0, 2.0), axis=1).getOutputDimensions(0, [TensorDesc(F32, (3, 4))])
    with pytest.raises(ShapeError, match="dtype"):
        Dequantize(scale=(1.0,)).getOutputDimensions(0, [TensorDesc(U8, (3, 4))])


TYPES = [
    (F32, None),
    (I8, Quantization((0.1,), (4,))),
    (I8, Quantization((0.05,), (-7,))),
    (U8, Quantization((0.1,), (128,))),
    (DataType.FLOAT16, None),
]


@pytest.mark.parametrize("target", TYPES, ids=str)
@pytest.mark.parametrize("source", TYPES, ids=str)
def test_convert_type(rng: Any, source: Any, target: Any) -> None:
    (dtype, before), (wanted, after) = source, target
    shape = (1, 16, 3, 4)
    if before is None:
        array = (rng.standard_normal(shape) * 6).astype(dtype.numpy)
        real = array.astype(np.float64)
    else:
        limits = np.iinfo(dtype.numpy)
        array = rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype.numpy)
        real = (array.astype(np.float64) - before.zero_point[0]) * before.scale[0]
    inputs = [TensorDesc(dtype, shape, Format.CHANNELS_LAST, quantization=before)]
    outputs = [TensorDesc(wanted, shape, Format.CHANNELS_LAST, quantization=after)]
    assert ConvertType().supportsFormat(Combination(tuple(inputs), tuple(outputs)))
    (got,) = run_layer(ConvertType(), [array], inputs=inputs, outputs=outputs)
    assert got.dtype == wanted.numpy
    if after is None:
        np.testing.assert_allclose(got, real, rtol=1e-3, atol=1e-5)
    else:
        limits = np.iinfo(wanted.numpy)
        if before is not None:  # so that halves stay halves
            real = (array.astype(np.float64) - before.zero_point[0]) * (
                before.scale[0] / after.scale[0]
            ) * after.scale[0]
        expected = np.rint(np.round(real / after.scale[0], 9)) + after.zero_point[0]
        expected = np.clip(expected, limits.min, limits.max)
        assert np.abs(got - expected).max() <= (0 if source == target else 1)
        assert (got != expected).mean() < 0.02


@pytest.mark.parametrize("after", FORMATS)
@pytest.mark.parametrize("before", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64])
def test_reformat(rng: Any, before: Format, after: Format, dtype: Any) -> None:
    source = rng.integers(-100, 100, (2, 48, 5, 7)).astype(dtype)
    (got,) = run_layer(Reformat(), [source], formats=[before], output_formats=[after])
    np.testing.assert_array_equal(got, source)
    assert Reformat().role == "reformat"


def test_copy(every_tactic: Check, rng: Any) -> None:
    for shape in ((), (5,), (2, 3, 4), (1, 2, 3, 4, 5, 6)):
        source = rng.standard_normal(shape).astype(np.float32)
        assert every_tactic(Copy(), [source], rtol=0, atol=0) == ["copy"]
    assert Copy().role == "copy"


def test_roles_refuse_what_they_cannot_convert() -> None:
    desc = TensorDesc(F32, (1, 16, 2, 2))
    low = replace(desc, dtype=I8, quantization=Quantization((0.1,)))
    assert not Reformat().supportsFormat(Combination((desc,), (low,)))
    per_channel = replace(low, quantization=Quantization((0.1,) * 16, axis=1))
    assert not ConvertType().supportsFormat(Combination((desc,), (per_channel,)))
