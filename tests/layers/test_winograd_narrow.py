"""Winograd convolution in bfloat16: every shape, format and epilogue, and how exact it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.builtin_layers.convolution import Convolution, winograd, winograd_blocking
from plugrt.core.runtime.standalone import prepare_layer, run_layer
from plugrt.plugins import (
    Array,
    DataType,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    Tactic,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.expression import exp, log, logistic, maximum, minimum, tanh
from plugrt.plugins.native import cpu

LAST, BLOCKED = Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16
BF16, F32 = DataType.BFLOAT16, DataType.FLOAT32
X, R = Input(0), Input(1)
PADDED: dict[str, Any] = {"padding": (1, 1, 1, 1)}

RELATIVE_ERROR = 0.0055
"""Of the result's norm, for inputs and weights that are bfloat16 numbers. Rounding the result
alone is 0.0016, and 0.0043 is measured."""

ELEMENT_ERROR = 0.03
"""Of the largest magnitude in the result, for any one element."""

needs_bf16 = pytest.mark.skipif(
    not cpu.features() >= winograd.NARROW_FEATURES, reason="the processor has no AVX512_BF16"
)


def narrow(array: Array) -> Array:
    return array.astype(BF16.numpy)


def arrays(
    rng: np.random.Generator, source: tuple[int, ...], outputs: int, bias: bool = True
) -> list[Array]:
    shapes = (source, (outputs, source[1], 3, 3))
    found = [narrow(rng.standard_normal(shape)) for shape in shapes]
    return [*found, rng.standard_normal(outputs).astype(np.float32)] if bias else found


def described(
    layer: Convolution, data: list[Array], operands: list[Array], layout: Format
) -> tuple[list[TensorDesc], TensorDesc]:
    """Inputs with constant weights and bias, and the output."""
    shape = layer.getOutputDimensions(0, [TensorDesc(BF16, a.shape) for a in data])
    inputs = [TensorDesc(BF16, data[0].shape, layout)]
    inputs += [TensorDesc(DataType.of(a.dtype), a.shape, value=a) for a in data[1:]]
    inputs += [
        TensorDesc(DataType.of(a.dtype), a.shape, layout if a.ndim == 4 else Format.LINEAR)
        for a in operands
    ]
    return inputs, TensorDesc(BF16, shape, layout)


def tactics_of(
    layer: Convolution, inputs: list[TensorDesc], output: TensorDesc,
    epilogue: Epilogue = Epilogue(), threads: int = 2,  # noqa: B008 - immutable
) -> list[Tactic]:
    """The Winograd tactics, however small their chance to win."""
    problem = layer._problem(inputs, output, epilogue, threads)
    found = [winograd.candidates(problem, winograd.name_of(tile)) for tile in winograd.TILES]
    return [candidate.tactic for candidates in found for candidate in candidates]


def check_close(got: Array, expected: Array) -> None:
    error = got.astype(np.float64) - expected
    assert np.linalg.norm(error) <= RELATIVE_ERROR * np.linalg.norm(expected)
    assert np.abs(error).max(initial=0) <= ELEMENT_ERROR * np.abs(expected).max(initial=1e-30)


def check(
    layer: Convolution, data: list[Array], *, layout: Format = LAST, threads: int = 2,
    epilogue: Epilogue = Epilogue(), operands: list[Array] | None = None,  # noqa: B008
) -> None:
    operands = operands or []
    inputs, output = described(layer, data, operands, layout)
    wide = [a.astype(np.float64) for a in (*data, *operands)]
    expected = epilogue.apply(layer.reference(wide[: len(data)])[0], wide[len(data) :])
    (tactic,) = tactics_of(layer, inputs, output, epilogue, threads)
    (got,) = run_layer(
        layer.clone(), [*data, *operands], inputs=inputs, outputs=[output],
        constants=range(1, len(data)), tactic=tactic, epilogue=epilogue, threads=threads,
    )  # fmt: skip
    check_close(got, expected)


@needs_bf16
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize(
    ("source", "outputs"),
    [
        ((1, 16, 13, 13), 32),
        ((2, 32, 9, 11), 48),
        ((1, 16, 1, 1), 16),
        ((1, 48, 70, 75), 64),  # blocks of each thread's own
        ((3, 256, 13, 13), 80),
        ((1, 512, 26, 30), 16),
    ],
)
def test_shapes(
    rng: Any, source: tuple[int, ...], outputs: int, layout: Format, threads: int
) -> None:
    check(Convolution(**PADDED), arrays(rng, source, outputs), layout=layout, threads=threads)


@needs_bf16
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cache", [1 << 16, 1 << 23])
def test_threads_share_blocks(
    rng: Any, monkeypatch: pytest.MonkeyPatch, cache: int, threads: int
) -> None:
    monkeypatch.setattr(winograd_blocking, "REPEATED_PER_TILE", 0)
    monkeypatch.setattr(winograd_blocking, "SHARED_CACHE", cache)  # several blocks, and one
    check(Convolution(**PADDED), arrays(rng, (2, 24, 30, 31), 80), threads=threads)


@needs_bf16
@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9),
    channels=st.integers(1, 70), outputs=st.integers(1, 70),
    padding=st.tuples(*[st.integers(0, 3)] * 4), threads=st.integers(1, 3), bias=st.booleans(),
)  # fmt: skip
def test_random_cases(
    batch: int, height: int, width: int, channels: int, outputs: int,
    padding: tuple[int, ...], threads: int, bias: bool,
) -> None:  # fmt: skip
    if height + padding[0] + padding[2] < 3 or width + padding[1] + padding[3] < 3:
        return
    layer = Convolution(padding=padding)
    data = arrays(np.random.default_rng(3), (batch, channels, height, width), outputs, bias)
    inputs, output = described(layer, data, [], LAST)
    (tactic,) = tactics_of(layer, inputs, output, threads=threads)
    (got,) = run_layer(
        layer.clone(), data, inputs=inputs, outputs=[output], constants=range(1, len(data)),
        tactic=tactic, threads=threads,
    )  # fmt: skip
    expected = layer.reference([a.astype(np.float64) for a in data])[0]
    # A few outputs may be far from the mean: the bound is that of a sum over all products.
    scale = max(float(np.linalg.norm(expected)), 3 * (channels * expected.size) ** 0.5)
    assert np.linalg.norm(got.astype(np.float64) - expected) <= 2 * RELATIVE_ERROR * scale


STEPS: dict[str, Expression] = {
    "relu": maximum(X, 0),
    "leaky": maximum(X, X * 0.1),
    "clip": minimum(maximum(X, 0), 6),
    "swish": X * logistic(X),
    "mish": X * tanh(log(exp(X) + 1)),
}
SUMS: dict[str, Expression] = {
    "sum": X + R,
    "sum then relu": maximum(X + R, 0),
    "leaky then sum": maximum(X, X * 0.1) + R,
    "swish then sum": X * logistic(X) + R,
}


@needs_bf16
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("name", STEPS)
def test_activations(rng: Any, name: str, layout: Format) -> None:
    data = arrays(rng, (2, 16, 15, 18), 48)
    epilogue = Epilogue((EpilogueStep(STEPS[name]),))
    check(Convolution(**PADDED), data, layout=layout, epilogue=epilogue)


@needs_bf16
@pytest.mark.parametrize("outputs", [48, 37])
@pytest.mark.parametrize("name", SUMS)
def test_sums(rng: Any, name: str, outputs: int) -> None:
    data = arrays(rng, (2, 48, 15, 18), outputs)
    residual = narrow(rng.standard_normal((2, outputs, 15, 18)))
    epilogue = Epilogue((EpilogueStep(SUMS[name], 1),))
    for layout in (LAST, BLOCKED) if outputs % 16 == 0 else (LAST,):
        check(
            Convolution(**PADDED), data, layout=layout, epilogue=epilogue, operands=[residual]
        )


@needs_bf16
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
def test_slices_in_and_out(rng: Any, layout: Format) -> None:
    layer = Convolution(**PADDED)
    data = arrays(rng, (2, 48, 10, 11), 48)
    inputs, output = described(layer, data, [], layout)
    (tactic,) = tactics_of(layer, inputs, output)
    assert tactic.strided_inputs == tactic.strided_outputs == {0}
    part = TensorView(TensorDesc(BF16, (2, 96, 10, 11), layout), 0).slice(1, 16, 48).desc
    expected = layer.reference([a.astype(np.float64) for a in data])[0]
    with prepare_layer(
        layer.clone(), data, inputs=inputs, outputs=[part], constants=(1, 2), tactic=tactic
    ) as prepared:
        ((memory, _),) = prepared.outputs
        flat = memory[: part.nbytes].view(np.uint16)
        flat[...] = 77
        prepared.recording.replay()
        written = by_block(flat, part)
        check_close(written.copy().view(BF16.numpy).reshape(expected.shape), expected)
        written[...] = 77
        assert (flat == 77).all()


def by_block(flat: Array, desc: TensorDesc) -> Array:
    """A view [image, block of 16 channels, 16, row, pixel]."""
    batch, channels, height, width = desc.sizes
    per_image, per_channel, per_row, per_pixel = (2 * step for step in desc.element_strides)
    per_block = per_channel if desc.format is BLOCKED else 16 * per_channel
    return np.ndarray(
        (batch, channels // 16, 16, height, width), np.uint16, flat.data, 0,
        (per_image, per_block, 2, per_row, per_pixel),
    )  # fmt: skip


@needs_bf16
@pytest.mark.parametrize("positive", [False, True])
def test_the_error_is_less_than_twice_that_of_direct_convolution(
    rng: Any, positive: bool
) -> None:
    """Of float32 numbers, whose rounding to bfloat16 counts in both."""
    shapes = ((1, 128, 20, 20), (64, 128, 3, 3))
    plain = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    if positive:
        plain[0] = np.maximum(plain[0], 0)
    layer = Convolution(**PADDED)
    exact = layer.reference([a.astype(np.float64) for a in plain])[0]
    data = [narrow(a) for a in plain]
    direct = narrow(layer.reference([a.astype(np.float64) for a in data])[0])
    inputs, output = described(layer, data, [], LAST)
    (tactic,) = tactics_of(layer, inputs, output)
    (got,) = run_layer(
        layer.clone(), data, inputs=inputs, outputs=[output], constants=(1,), tactic=tactic
    )
    ours, theirs = (np.linalg.norm(a.astype(np.float64) - exact) for a in (got, direct))
    assert ours < 2 * theirs


@needs_bf16
def test_weights_grow_by_sixteen_ninths(rng: Any) -> None:
    layer = Convolution(**PADDED)
    data = arrays(rng, (1, 64, 8, 8), 32, bias=False)
    inputs, output = described(layer, data, [], LAST)
    (tactic,) = tactics_of(layer, inputs, output)
    packed = winograd.pack(inputs[1], 2, 1)
    assert packed.nbytes == pytest.approx(tactic.weight_growth * data[1].nbytes)


def test_what_has_no_form_is_not_offered(rng: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Convolution(**PADDED)
    data = arrays(rng, (1, 16, 8, 8), 16)
    inputs, output = described(layer, data, [], LAST)
    assert not tactics_of(layer, inputs, replace(output, dtype=F32))
    assert not tactics_of(layer, [*inputs[:2], replace(inputs[2], dtype=BF16, value=None)], output)
    half = [replace(inputs[0], dtype=DataType.FLOAT16), inputs[1], inputs[2]]
    assert not tactics_of(layer, half, output)
    monkeypatch.setattr(cpu, "features", lambda: {"avx2", "fma", "avx512f"})
    assert not tactics_of(layer, inputs, output)
