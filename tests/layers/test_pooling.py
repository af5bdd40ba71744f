"""Pooling in every format, type and tactic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from plugrt.builtin_layers import kernels
from plugrt.builtin_layers.pooling import (
    AveragePooling,
    GlobalAveragePooling,
    GlobalMaxPooling,
    MaxPooling,
    native_kernel,
)
from plugrt.core.runtime.standalone import output_descs, prepare_layer, run_layer
from plugrt.plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Format,
    Input,
    Quantization,
    ShapeError,
    TacticRequest,
    TensorDesc,
    TensorView,
    symbol,
)
from plugrt.plugins.expression import maximum

WINDOWS = [
    {"kernel": (2, 2), "strides": (2, 2)},
    {"kernel": (2, 2), "padding": (0, 0, 1, 1)},  # Darknet's stride 1
    {"kernel": (3, 3), "strides": (2, 2), "padding": (0, 0, 1, 1)},
    {"kernel": (3, 3), "strides": (2, 2), "padding": (1, 0, 0, 2), "ceil_mode": True},
    {"kernel": (3, 2), "strides": (2, 3), "ceil_mode": True},
    {"kernel": (5, 5), "padding": (2, 2, 2, 2)},
]
FORMATS = list(Format)


def by_loops(layer: Any, source: Any, average: bool) -> Any:
    """Pooling straight from its definition, element by element."""
    window = layer.window(source.shape)
    sizes = layer.spatial_sizes(source.shape)
    result = np.zeros((*source.shape[:2], *sizes))
    height, width = source.shape[2:]
    for y, x in np.ndindex(*sizes):
        seen, room = [], 0
        for ky, kx in window.offsets():
            row = y * window.strides[0] - window.before[0] + ky
            column = x * window.strides[1] - window.before[1] + kx
            room += row < height + window.after[0] and column < width + window.after[1]
            if 0 <= row < height and 0 <= column < width:
                seen.append(source[:, :, row, column].astype(np.float64))
        number = room if average and layer.count_include_padding else len(seen)
        result[:, :, y, x] = sum(seen) / number if average else np.max(seen, axis=0)
    return result


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(("batch", "channels"), [(1, 96), (2, 16), (3, 7)])
def test_max_pooling(
    every_tactic: Callable[..., list[str]], rng: Any, window: dict[str, Any], layout: Format,
    batch: int, channels: int,
) -> None:
    source = rng.standard_normal((batch, channels, 11, 8)).astype(np.float32) - 3
    if not layout.accepts(source.shape):
        return
    layer = MaxPooling(**window)
    np.testing.assert_array_equal(layer.reference([source])[0], by_loops(layer, source, False))
    assert "kernel" in every_tactic(layer, [source], layout=layout, rtol=0, atol=0)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
def test_average_pooling(
    every_tactic: Callable[..., list[str]], rng: Any, window: dict[str, Any], layout: Format,
    include: bool,
) -> None:
    source = rng.standard_normal((2, 80, 11, 8)).astype(np.float32)
    layer = AveragePooling(**window, count_include_padding=include)
    expected = by_loops(layer, source, True)
    np.testing.assert_allclose(layer.reference([source])[0], expected, rtol=1e-5, atol=1e-6)
    assert "kernel" in every_tactic(layer, [source], layout=layout)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("shape", [(1, 256, 7, 9), (2, 16, 5, 3), (1, 32, 13), (1, 16, 3, 4, 5)])
def test_global_pooling(
    every_tactic: Callable[..., list[str]], rng: Any, layout: Format, shape: tuple[int, ...]
) -> None:
    source = rng.standard_normal(shape).astype(np.float32)
    axes = tuple(range(2, len(shape)))
    mean = GlobalAveragePooling()
    np.testing.assert_allclose(
        mean.reference([source])[0], source.mean(axis=axes, keepdims=True), rtol=1e-5, atol=1e-6
    )
    assert "kernel" in every_tactic(mean, [source], layout=layout)
    assert "kernel" in every_tactic(GlobalMaxPooling(), [source], layout=layout)


def test_dilated_and_three_dimensional(every_tactic: Callable[..., list[str]], rng: Any) -> None:
    flat = rng.standard_normal((1, 16, 12, 13)).astype(np.float32)
    spaced = MaxPooling(kernel=(3, 2), dilations=(2, 3), padding=(2, 1, 0, 1), strides=(1, 2))
    volume = rng.standard_normal((2, 16, 4, 5, 6)).astype(np.float32)
    for layout in FORMATS:
        assert "kernel" in every_tactic(spaced, [flat], layout=layout, rtol=0, atol=0)
        layer = AveragePooling(kernel=(2, 3, 2), strides=(1, 2, 2), padding=(0, 1, 0, 1, 1, 1))
        assert "kernel" in every_tactic(layer, [volume], layout=layout)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("layout", FORMATS)
def test_integers(
    every_tactic: Callable[..., list[str]], rng: Any, dtype: Any, layout: Format
) -> None:
    limits = np.iinfo(dtype)
    source = rng.integers(limits.min, limits.max, (2, 112, 9, 6), endpoint=True).astype(dtype)
    layer = MaxPooling(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1))
    assert every_tactic(layer, [source], layout=layout, rtol=0, atol=0) == ["kernel"]


@pytest.mark.parametrize("dtype", [DataType.INT8, DataType.UINT8])
def test_quantised_average(rng: Any, dtype: DataType) -> None:
    limits = np.iinfo(dtype.numpy)
    source = rng.integers(limits.min, limits.max, (1, 48, 8, 6), endpoint=True).astype(dtype.numpy)
    before, after = Quantization((0.05,), (3,)), Quantization((0.04,), (-2 if limits.min else 7,))
    layer = AveragePooling(kernel=(3, 3), padding=(1, 1, 1, 1), count_include_padding=True)
    described = TensorDesc(dtype, source.shape, Format.CHANNELS_LAST, quantization=before)
    (output,) = output_descs(layer, [described])
    output = replace(output, format=Format.CHANNELS_LAST, quantization=after)
    (got,) = run_layer(layer, [source], inputs=[described], outputs=[output])
    real = by_loops(layer, (source.astype(np.float64) - 3) * 0.05, True)
    expected = np.clip(np.rint(real / 0.04) + after.zero_point[0], limits.min, limits.max)
    difference = np.abs(got.astype(np.int64) - expected)
    assert difference.max() <= 1  # a mean at the edge between two integers may fall either way
    assert (difference > 0).mean() < 0.02


def test_other_types_run_through_numpy(every_tactic: Callable[..., list[str]], rng: Any) -> None:
    source = rng.standard_normal((1, 3, 5, 5))
    assert every_tactic(MaxPooling(kernel=(2, 2)), [source]) == ["numpy"]


@pytest.mark.parametrize("layout", [Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16])
def test_epilogue(every_tactic: Callable[..., list[str]], rng: Any, layout: Format) -> None:
    source = rng.standard_normal((1, 32, 8, 8)).astype(np.float32)
    other = rng.standard_normal((1, 32, 4, 4)).astype(np.float32)
    layer = MaxPooling(kernel=(2, 2), strides=(2, 2))
    epilogue = Epilogue((EpilogueStep(maximum(Input(0) + Input(1), 0), 1),))
    names = every_tactic(layer, [source, other], layout=layout, epilogue=epilogue)
    assert names
    assert "kernel" not in names


def test_slices_in_and_out(rng: Any) -> None:
    whole = TensorView(TensorDesc(DataType.FLOAT32, (1, 48, 6, 6), Format.CHANNELS_LAST), 0)
    part = whole.slice(1, 16, 16).desc
    layer = MaxPooling(kernel=(2, 2))
    (output,) = output_descs(layer, [part])
    output = replace(output, format=Format.CHANNELS_LAST)
    (tactic, *_) = layer.getTactics(TacticRequest((part,), (output,)))
    assert tactic.strided_outputs == tactic.strided_inputs == {0}


def test_symbolic_sizes() -> None:
    height = symbol("height")
    shape = (symbol("batch"), 16, height, 10)
    layer = MaxPooling(kernel=(2, 2), strides=(2, 2))
    found = layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])
    assert found == (shape[0], 16, (height - 2) // 2 + 1, 5)
    found = GlobalMaxPooling().getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])
    assert found == (shape[0], 16, 1, 1)


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 4),
    before=st.integers(0, 4), after=st.integers(0, 4), dilation=st.integers(1, 3),
    ceil_mode=st.booleans(),
)  # fmt: skip
def test_shape_rule_agrees_with_the_reference(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil_mode: bool
) -> None:
    layer = MaxPooling(
        kernel=(kernel,), strides=(stride,), padding=(before, after), dilations=(dilation,),
        ceil_mode=ceil_mode,
    )  # fmt: skip
    source = np.arange(size, dtype=np.float32)[None, None]
    extent = (kernel - 1) * dilation + 1
    try:
        shape = layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, source.shape)])
    except ShapeError:
        assert size + before + after < extent or max(before, after) >= extent
        return
    (result,) = layer.reference([source])
    assert result.shape == shape
    starts = np.arange(shape[2]) * stride - before
    assert starts[-1] < size  # no window begins behind the input
    last = np.minimum((size - 1 - starts) // dilation, kernel - 1) * dilation + starts
    inside = last >= 0
    np.testing.assert_array_equal(result[0, 0][inside], last[inside])


@pytest.mark.parametrize(
    ("attributes", "shape", "words"),
    [
        ({"kernel": (3, 3)}, (1, 4, 2, 2), "does not fit"),
        ({"kernel": (3,)}, (1, 4, 5, 5), "spatial dimensions"),
        ({"kernel": (2, 2), "padding": (1, 1)}, (1, 4, 5, 5), "padding"),
        ({"kernel": (2, 2), "padding": (2, 0, 0, 0)}, (1, 4, 5, 5), "outside the input"),
        ({"kernel": (2, 2), "strides": (0, 1)}, (1, 4, 5, 5), "below 1"),
        ({"kernel": (2, 2)}, (1, 4), "no spatial dimension"),
    ],
)
def test_impossible_windows_are_refused(
    attributes: dict[str, Any], shape: tuple[int, ...], words: str
) -> None:
    layer = MaxPooling(**attributes)
    with pytest.raises(ShapeError, match=words):
        layer.getOutputDimensions(0, [TensorDesc(DataType.FLOAT32, shape)])


SAME = [
    {"kernel": (k, k), "padding": ((k - 1) // 2,) * 2 + (k // 2,) * 2} for k in (2, 3, 5, 9, 13)
]


@pytest.mark.parametrize("instructions", kernels.INSTRUCTION_SETS[:3])
@pytest.mark.parametrize("dtype", native_kernel.TYPES)
def test_own_kernels(instructions: str, dtype: DataType, rng: Any) -> None:
    """Every way through the C code: shared columns, whole planes, lines, halves of vectors."""
    for channels, size in ((96, (10, 11)), (80, (4, 19)), (19, (7, 33)), (3, (2, 5))):
        source = rng.integers(-99, 99, (2, channels, *size)).astype(dtype.numpy)
        for window in (*WINDOWS, *SAME):
            if all(size[i] + sum(window.get("padding", (0,) * 4)[i::2]) >= window["kernel"][i]
                   for i in range(2)):  # fmt: skip
                check_kernel(MaxPooling(**window), source, instructions)
                if dtype is DataType.FLOAT32:
                    check_kernel(AveragePooling(**window), source, instructions)


def check_kernel(layer: Any, source: Any, instructions: str) -> None:
    """The tactic "kernel" in every format against the reference."""
    (expected,) = layer.reference([source])
    for layout in FORMATS:
        if layout.accepts(source.shape):
            desc = TensorDesc(DataType.of(source.dtype), source.shape, layout)
            (output,) = output_descs(layer, [desc])
            output = replace(output, format=layout)
            with kernels.at_most(instructions):
                (got,) = run_layer(
                    layer.clone(), [source], inputs=[desc], outputs=[output],
                    tactic=native_kernel.TACTIC,
                )  # fmt: skip
            np.testing.assert_allclose(
                got.astype(np.float64), expected.astype(np.float64), rtol=1e-5, atol=1e-5,
                err_msg=f"{layer.kernel} {layout}",
            )  # fmt: skip


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("dtype", [DataType.FLOAT32, DataType.BFLOAT16])
@pytest.mark.parametrize("window", [WINDOWS[0], WINDOWS[2], *SAME[1:3]], ids=str)
def test_nan_never_is_the_largest(
    rng: Any, layout: Format, dtype: DataType, window: dict[str, Any]
) -> None:
    source = rng.standard_normal((1, 32, 11, 12)).astype(np.float32)
    source[rng.random(source.shape) < 0.3] = np.nan
    source[rng.random(source.shape) < 0.1] = -np.inf
    source[0, :3], source[0, 3:5] = np.nan, -np.nan
    source[0, 5] = np.inf
    layer = MaxPooling(**window)
    (expected,) = layer.reference([source])
    assert np.isneginf(expected[0, :5]).all()
    assert np.isposinf(expected[0, 5]).all()
    assert not np.isnan(expected).any()
    check_kernel(layer, source.astype(dtype.numpy), "avx512_bf16")


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("window", [WINDOWS[0], *SAME[1:4]], ids=str)
def test_number_of_threads_changes_no_bit(
    rng: Any, layout: Format, window: dict[str, Any]
) -> None:
    source = rng.standard_normal((1, 80, 13, 9)).astype(np.float32)
    desc = TensorDesc(DataType.FLOAT32, source.shape, layout)
    for layer in (MaxPooling(**window), AveragePooling(**window)):
        (output,) = output_descs(layer, [desc])
        output = replace(output, format=layout)
        results = [
            run_layer(
                layer.clone(), [source], inputs=[desc], outputs=[output], threads=threads,
                tactic=native_kernel.TACTIC,
            )[0]
            for threads in (1, 2, 5)
        ]  # fmt: skip
        np.testing.assert_array_equal(results[1], results[0])
        np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("width", [2047, 5000])
def test_long_rows(rng: Any, width: int) -> None:
    source = rng.standard_normal((1, 2, 5, width)).astype(np.float32)
    for window in ({"kernel": (2, 2), "strides": (2, 2)}, {"kernel": (3, 3), "strides": (1, 3)},
                   {"kernel": (5, 1500), "padding": (2, 9, 2, 9)}):  # fmt: skip
        check_kernel(MaxPooling(**window), source, "avx512_bf16")


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
def test_slices_are_written_in_place(rng: Any, layout: Format) -> None:
    wide = (2, 48, 9, 10)
    strides = layout.strides(wide)
    base = rng.standard_normal(int(np.prod(wide))).astype(np.float32)
    source = as_strided(base, (2, 16, 9, 10), [4 * step for step in strides])
    for window in (WINDOWS[0], SAME[1], SAME[3]):
        layer = MaxPooling(**window)
        desc = TensorDesc(DataType.FLOAT32, source.shape, layout)
        (dense,) = output_descs(layer, [desc])
        wider = layout.strides((2, 48, *dense.sizes[2:]))
        output = replace(dense, format=layout, strides=wider)
        prepared = prepare_layer(
            layer, [source], inputs=[desc], outputs=[output], tactic=native_kernel.TACTIC
        )
        prepared.recording.replay()
        memory = prepared.outputs[0][0].view(np.float32)
        got = as_strided(memory, dense.sizes, [4 * step for step in wider])
        np.testing.assert_array_equal(got, layer.reference([source])[0])
