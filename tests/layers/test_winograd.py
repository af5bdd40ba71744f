"""Winograd convolution: every shape, format, epilogue and way to share out the work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.builtin_layers.convolution import Convolution, winograd, winograd_blocking
from plugrt.core.devices.cpu import CpuStream, SlotTable
from plugrt.core.runtime.buffers import from_memory, to_memory
from plugrt.core.runtime.standalone import prepare_layer, run_layer
from plugrt.core.runtime.weight_store import PackedWeights, RecordingStore
from plugrt.plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Expression,
    Format,
    Input,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.expression import exp, log, logistic, maximum, minimum, tanh

LAST, BLOCKED = Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16
F32 = DataType.FLOAT32
X, R = Input(0), Input(1)

RELATIVE_ERROR = {2: 2e-6, 4: 4e-6}
"""Of the result's Euclidean norm; 4x4 has 1.5e-6 for 256 channels."""

ELEMENT_ERROR = 1e-4
"""Of the largest magnitude in the result, for any one element."""


def arrays(rng: Any, source: tuple[int, ...], outputs: int, bias: bool = True) -> list[Any]:
    shapes = [source, (outputs, source[1], 3, 3), *([(outputs,)] if bias else [])]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def described(
    layer: Convolution, data: list[Any], operands: list[Any], layout: Format
) -> tuple[list[TensorDesc], TensorDesc]:
    """Inputs with constant weights and bias, and the output."""
    shape = layer.getOutputDimensions(0, [TensorDesc(F32, a.shape) for a in data])
    inputs = [TensorDesc(F32, data[0].shape, layout)]
    inputs += [TensorDesc(F32, a.shape, value=a) for a in data[1:]]
    inputs += [
        TensorDesc(F32, a.shape, layout if a.ndim == 4 else Format.LINEAR) for a in operands
    ]
    return inputs, TensorDesc(F32, shape, layout)


def tactics_of(
    layer: Convolution, inputs: list[TensorDesc], output: TensorDesc,
    epilogue: Epilogue = Epilogue(), threads: int = 2,  # noqa: B008 - immutable
) -> dict[int, Any]:
    """The Winograd tactics by tile size, however small their chance to win."""
    request = TacticRequest(tuple(inputs), (output,), epilogue, thread_count=threads)
    problem = layer._problem(request.inputs, output, epilogue, threads)
    found = {}
    for tile in winograd.TILES:
        for candidate in winograd.candidates(problem, winograd.name_of(tile)):
            found[tile] = candidate.tactic
    return found


def check_close(got: Any, expected: Any, tile: int) -> None:
    error = got.astype(np.float64) - expected
    assert np.linalg.norm(error) <= RELATIVE_ERROR[tile] * np.linalg.norm(expected)
    assert np.abs(error).max(initial=0) <= ELEMENT_ERROR * np.abs(expected).max(initial=1e-30)


def check(
    layer: Convolution, data: list[Any], *, layout: Format = LAST, threads: int = 2,
    epilogue: Epilogue = Epilogue(), operands: list[Any] | None = None,  # noqa: B008
) -> None:
    operands = operands or []
    inputs, output = described(layer, data, operands, layout)
    wide = [a.astype(np.float64) for a in data]
    expected = epilogue.apply(layer.reference(wide)[0], operands)
    tactics = tactics_of(layer, inputs, output, epilogue, threads)
    assert set(tactics) == {2, 4}
    for tile, tactic in tactics.items():
        constants = range(1, len(data))
        (got,) = run_layer(
            layer.clone(), [*data, *operands], inputs=inputs, outputs=[output],
            constants=constants, tactic=tactic, epilogue=epilogue, threads=threads,
        )  # fmt: skip
        check_close(got, expected, tile)


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
    layer = Convolution(padding=(1, 1, 1, 1))
    check(layer, arrays(rng, source, outputs), layout=layout, threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cache", [1 << 16, 1 << 23])
def test_threads_share_blocks(
    rng: Any, monkeypatch: pytest.MonkeyPatch, cache: int, threads: int
) -> None:
    monkeypatch.setattr(winograd_blocking, "REPEATED_PER_TILE", 0)
    monkeypatch.setattr(winograd_blocking, "SHARED_CACHE", cache)  # several blocks, and one
    check(Convolution(padding=(1, 1, 1, 1)), arrays(rng, (2, 24, 30, 31), 80), threads=threads)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3), height=st.integers(1, 14), width=st.integers(1, 14),
    channels=st.integers(1, 40), outputs=st.integers(1, 70),
    padding=st.tuples(*[st.integers(0, 3)] * 4), threads=st.integers(1, 3), bias=st.booleans(),
)  # fmt: skip
def test_random_cases(
    batch: int, height: int, width: int, channels: int, outputs: int,
    padding: tuple[int, ...], threads: int, bias: bool,
) -> None:  # fmt: skip
    if height + padding[0] + padding[2] < 3 or width + padding[1] + padding[3] < 3:
        return
    data = arrays(np.random.default_rng(3), (batch, channels, height, width), outputs, bias)
    check(Convolution(padding=padding), data, threads=threads)


STEPS: dict[str, Expression] = {
    "relu": maximum(X, 0),
    "leaky": maximum(X, X * 0.1),
    "clip": minimum(maximum(X, 0), 6),
    "mish": X * tanh(log(exp(X) + 1)),
    "swish": X * logistic(X),
}
CLIPPED = minimum(maximum(X, 0), 3)
SUMS: dict[str, tuple[Expression, bytes | None]] = {
    "sum": (X + R, b""),
    "sum then relu": (maximum(X + R, 0), b""),
    "leaky then sum": (maximum(X, X * 0.1) + R, b""),
    "clip, sum, leaky": (maximum(CLIPPED + R, 0.5 * (CLIPPED + R)), b""),
    "twice the same": (R + X + R, None),
    "product": (X * R, None),
    "swish then sum": (X * logistic(X) + R, None),
    "gate": (X * logistic(X + R), None),
}


@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("name", STEPS)
def test_activations(rng: Any, name: str, layout: Format) -> None:
    epilogue = Epilogue((EpilogueStep(STEPS[name]),))
    data = arrays(rng, (2, 16, 15, 18), 48)
    check(Convolution(padding=(1, 1, 1, 1)), data, layout=layout, epilogue=epilogue)


@pytest.mark.parametrize("outputs", [48, 37])
@pytest.mark.parametrize("name", SUMS)
def test_sums(rng: Any, name: str, outputs: int) -> None:
    expression, program = SUMS[name]
    epilogue = Epilogue((EpilogueStep(expression, 1),))
    data = arrays(rng, (2, 16, 15, 18), outputs)
    layer = Convolution(padding=(1, 1, 1, 1))
    residual = rng.standard_normal((2, outputs, 15, 18)).astype(np.float32)
    inputs, output = described(layer, data, [residual], LAST)
    made = winograd.block_epilogue(epilogue, inputs, output)
    assert made is not None
    assert (made.program == b"") == (program == b"")
    check(layer, data, epilogue=epilogue, operands=[residual])
    if outputs % 16 == 0:
        check(layer, data, epilogue=epilogue, operands=[residual], layout=BLOCKED)
    for tactic in tactics_of(layer, inputs, output, epilogue).values():
        assert tactic.may_alias == (frozenset() if made.program else {3})


def test_the_sum_may_replace_its_operand(rng: Any) -> None:
    layer = Convolution(padding=(1, 1, 1, 1))
    data = arrays(rng, (2, 16, 15, 18), 48)
    residual = rng.standard_normal((2, 48, 15, 18)).astype(np.float32)
    epilogue = Epilogue((EpilogueStep(maximum(X + R, 0), 1),))
    inputs, output = described(layer, data, [residual], LAST)
    expected = epilogue.apply(layer.reference(data)[0], [residual])
    problem = layer._problem(inputs, output, epilogue, 2)
    for tile in winograd.TILES:
        (candidate,) = winograd.candidates(problem, winograd.name_of(tile))
        slots = SlotTable()
        stream = CpuStream(slots, RecordingStore(PackedWeights(), slots), 2)
        stream.begin_layer("Convolution")
        buffers = [to_memory(data[0], LAST), *data[1:], to_memory(residual, LAST)]
        scratch = np.empty(candidate.workspace_bytes, np.uint8)
        views = [
            TensorView(desc, slots.bind(buffer), digest="x")
            for desc, buffer in zip(inputs, buffers, strict=True)
        ]
        workspace = TensorView(TensorDesc(DataType.UINT8, scratch.shape), slots.bind(scratch))
        candidate.record(stream, views, TensorView(output, views[3].slot), workspace)
        stream.finish().replay()
        got = from_memory(buffers[3].reshape(-1), output.sizes, LAST)
        check_close(got, expected, tile)


def test_vectors_and_several_operands(rng: Any) -> None:
    steps = (
        EpilogueStep(X * Input(1, axis=1), 1),
        EpilogueStep(X + R, 1),
        EpilogueStep(tanh(X), 0),
        EpilogueStep(X * R + Input(2, axis=1), 2),
    )
    data = arrays(rng, (2, 16, 9, 10), 21)
    shapes = [(21,), (2, 21, 9, 10), (2, 21, 9, 10), (21,)]
    operands = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    check(Convolution(padding=(1, 1, 1, 1)), data, epilogue=Epilogue(steps), operands=operands)


def test_what_has_no_form_is_not_offered(rng: Any) -> None:
    layer = Convolution(padding=(1, 1, 1, 1))
    data = arrays(rng, (1, 16, 8, 8), 8)
    row = rng.standard_normal(8).astype(np.float32)
    many = [rng.standard_normal((1, 8, 8, 8)).astype(np.float32) for _ in range(5)]
    total: Expression = X
    for index in range(1, 6):
        total = total + Input(index)
    for epilogue, operands in (
        (Epilogue((EpilogueStep(X + R, 1),)), [row]),  # along the last axis
        (Epilogue((EpilogueStep(X + Input(1, axis=2), 1),)), [row]),
        (Epilogue((EpilogueStep(total, 5),)), many),
    ):
        inputs, output = described(layer, data, operands, LAST)
        assert not tactics_of(layer, inputs, output, epilogue)
    inputs, output = described(layer, data, [], LAST)
    for other in (
        Convolution(padding=(1, 1, 1, 1), strides=(2, 2)),
        Convolution(padding=(2, 2, 2, 2), dilations=(2, 2)),
    ):
        assert not tactics_of(other, inputs, output)
    assert not tactics_of(layer, [replace(inputs[0], format=Format.LINEAR), *inputs[1:]], output)
    variable = [inputs[0], replace(inputs[1], value=None), inputs[2]]
    assert not tactics_of(layer, variable, output)


@pytest.mark.parametrize("layout", [LAST, BLOCKED])
def test_slices_in_and_out(rng: Any, layout: Format) -> None:
    layer = Convolution(padding=(1, 1, 1, 1))
    data = arrays(rng, (2, 32, 10, 11), 48)
    residual = rng.standard_normal((2, 48, 10, 11)).astype(np.float32)
    epilogue = Epilogue((EpilogueStep(X * logistic(X) + R, 1),))
    inputs, output = described(layer, data, [residual], layout)
    wide = TensorView(TensorDesc(F32, (2, 96, 10, 11), layout), 0)
    part = wide.slice(1, 16, 48).desc
    expected = epilogue.apply(layer.reference(data)[0], [residual])
    for tile, tactic in tactics_of(layer, inputs, output, epilogue).items():
        assert tactic.strided_inputs == tactic.strided_outputs == {0}
        with prepare_layer(
            layer.clone(), [*data, residual], inputs=inputs, outputs=[part], constants=(1, 2),
            tactic=tactic, epilogue=epilogue,
        ) as prepared:  # fmt: skip
            ((memory, _),) = prepared.outputs
            flat = memory[: part.nbytes].view(np.float32)
            flat[...] = 77
            prepared.recording.replay()
            got = logical(flat, part).copy()
            logical(flat, part)[...] = 77
            assert (flat == 77).all()
        check_close(got.reshape(expected.shape), expected, tile)


def logical(flat: Any, desc: TensorDesc) -> Any:
    """A view in logical order; with the channels split into blocks where they lie so."""
    batch, channels, height, width = desc.sizes
    per_image, per_channel, per_row, per_pixel = (4 * step for step in desc.element_strides)
    if desc.format is LAST:
        steps: tuple[int, ...] = (per_image, per_channel, per_row, per_pixel)
        return np.ndarray(desc.sizes, np.float32, flat.data, 0, steps)
    shape = (batch, channels // 16, 16, height, width)
    return np.ndarray(
        shape, np.float32, flat.data, 0, (per_image, per_channel, 4, per_row, per_pixel)
    )
