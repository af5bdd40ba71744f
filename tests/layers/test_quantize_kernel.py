"""Quantising in C: the integers that division gives, to the last one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers import kernels
from plugrt.builtin_layers.conversion import ConvertType
from plugrt.builtin_layers.quantization import Quantize
from plugrt.builtin_layers.quantize import native_kernel
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import DataType, Format, Quantization, Tactic, TacticRequest, TensorDesc

SCALES = [1 / 127, 2 / 255, 0.1, 3.7e-5, 1e6]
TYPES = [DataType.INT8, DataType.UINT8]


def expected(source: Any, scale: float, zero_point: int, dtype: DataType) -> Any:
    """By division in float32; NaN becomes 0."""
    limits = np.iinfo(dtype.numpy)
    with np.errstate(invalid="ignore", over="ignore"):
        quotient = source / np.float32(scale)
    whole = np.clip(np.rint(quotient) + zero_point, limits.min, limits.max)
    return np.where(np.isnan(source), 0, whole).astype(dtype.numpy)


def values(rng: Any, scale: float, size: int) -> Any:
    """Numbers of every kind, half of them on or beside the middle between two integers."""
    steps = rng.integers(-600, 600, size) / 2
    source = (steps * scale).astype(np.float32)
    source[::4] = np.nextafter(source[::4], np.inf)
    source[1::4] = rng.normal(0, 60 * scale, source[1::4].size)
    source[2::9] = rng.choice([np.nan, -np.nan, np.inf, -np.inf, 1e30, -1e30, -0.0], 1)
    return source


@pytest.mark.parametrize("instructions", kernels.INSTRUCTION_SETS[:3])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dtype", TYPES)
def test_equals_division(rng: Any, instructions: str, scale: float, dtype: DataType) -> None:
    for size, zero_point in ((1, 0), (127, 3), (128, -5), (40_003, 100)):
        zero = zero_point if dtype is DataType.INT8 else abs(zero_point)
        source = values(rng, scale, size)
        layer = Quantize(scale=(scale,), zero_point=(zero,), dtype=dtype)
        with kernels.at_most(instructions):
            (got,) = run_layer(layer, [source], tactic=native_kernel.TACTIC)
        np.testing.assert_array_equal(got, expected(source, scale, zero, dtype))


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize("dtype", TYPES)
def test_tactics_and_threads_agree(rng: Any, layout: Format, dtype: DataType) -> None:
    """Expressions multiply, and round what is in the middle either way."""
    source = values(rng, 0.02, 3 * 101 * 97).reshape(1, 3, 101, 97)
    desc = TensorDesc(DataType.FLOAT32, source.shape, layout)
    wanted = TensorDesc(dtype, source.shape, layout, quantization=Quantization.of(0.02, 7))
    (plain,) = output_descs(Quantize(scale=(0.02,), dtype=dtype), [desc])
    for layer, output in (
        (ConvertType(), wanted),
        (Quantize(scale=(0.02,), zero_point=(7,), dtype=dtype), replace(plain, format=layout)),
    ):
        tactics = layer.getTactics(TacticRequest((desc,), (output,)))
        assert [tactic.name for tactic in tactics] == ["kernel", "expression"]
        for tactic in tactics:
            for threads in (1, 2, 3):
                (got,) = run_layer(
                    layer.clone(), [source], inputs=[desc], outputs=[output], tactic=tactic,
                    threads=threads,
                )  # fmt: skip
                right = expected(source, 0.02, 7, dtype)
                beside = 0 if tactic is native_kernel.TACTIC else 1
                assert np.abs(got.astype(int) - right).max() <= beside, tactic.name


def test_what_the_kernel_leaves_to_expressions() -> None:
    source = TensorDesc(DataType.FLOAT32, (2, 4, 6))
    several = Quantize(scale=(0.1, 0.2, 0.3, 0.4), axis=1)
    stored = TensorDesc(DataType.INT8, (2, 4, 6))
    apart = TensorDesc(DataType.INT8, (2, 4, 6), strides=(48, 12, 1))
    one = Quantize(scale=(0.1,))
    half = replace(source, dtype=DataType.BFLOAT16)
    for layer, given, output in (
        (several, source, stored), (one, source, apart), (one, half, stored),
    ):  # fmt: skip
        found: list[Tactic] = list(layer.getTactics(TacticRequest((given,), (output,))))
        assert [tactic.name for tactic in found] == ["expression"]
