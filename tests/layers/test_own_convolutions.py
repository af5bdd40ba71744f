"""Depthwise and 1x1 convolutions and those of few channels by our own kernels: every shape, format,
type, epilogue and instruction set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.builtin_layers import kernels
from plugrt.builtin_layers.convolution import (
    Convolution,
    depthwise_kernel,
    product_kernel,
    shallow_kernel,
)
from plugrt.core.runtime.standalone import prepare_layer, run_layer
from plugrt.plugins import (
    Combination,
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
from plugrt.plugins.expression import logistic, maximum, minimum
from plugrt.plugins.native import cpu

LINEAR, LAST, BLOCKED = Format.LINEAR, Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16
F32, BF16 = DataType.FLOAT32, DataType.BFLOAT16
X, R = Input(0), Input(1)

OWN = {*depthwise_kernel.NAMES, *shallow_kernel.NAMES, *product_kernel.NAMES}
ROUNDING = {F32: 1e-6, BF16: 2.0**-7}
"""Of the sum of the magnitudes of an output's products, of which both factors may be rounded."""


class Problem:
    """A convolution with data, in given types and formats."""

    def __init__(
        self, rng: Any, layer: Convolution, source: tuple[int, ...], outputs: int,
        kernel: tuple[int, int], *, bias: bool = True, inner: DataType = F32,
        outer: DataType = F32, before: Format = LAST, after: Format = LAST,
    ) -> None:  # fmt: skip
        self.layer = layer
        shapes = [source, (outputs, source[1] // layer.groups, *kernel)]
        data = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        self.arrays = [array.astype(inner.numpy) for array in data]
        if bias:
            self.arrays.append(rng.standard_normal(outputs).astype(np.float32))
        self.inputs = [TensorDesc(inner, source, before)]
        self.inputs += [
            TensorDesc(DataType.of(a.dtype), a.shape, value=a) for a in self.arrays[1:]
        ]
        descs = [TensorDesc(F32, a.shape) for a in self.arrays]
        shape = layer.getOutputDimensions(0, descs)
        self.output = TensorDesc(outer, shape, after)

    def expected(self, epilogue: Epilogue, operands: list[Any]) -> tuple[Any, Any]:
        """The result, and how large the products are that it is the sum of."""
        wide = [a.astype(np.float64) for a in self.arrays]
        result = epilogue.apply(self.layer.reference(wide)[0], operands)
        return result, self.layer.reference([np.abs(a) for a in wide])[0]

    def described(self, operands: list[Any]) -> list[TensorDesc]:
        """All inputs, with the epilogue's operands as the core would have them."""
        more = [
            TensorDesc(DataType.of(a.dtype), a.shape, self.output.format if a.ndim > 1 else LINEAR)
            for a in operands
        ]
        return [*self.inputs, *more]

    def tactics(self, epilogue: Epilogue, operands: list[Any], threads: int) -> dict[str, Any]:
        """Our own tactics by name."""
        inputs = tuple(self.described(operands))
        own = inputs[: len(self.inputs)]
        assert self.layer.supportsFormat(Combination(own, (self.output,)))
        request = TacticRequest(inputs, (self.output,), epilogue, thread_count=threads)
        return {t.name: t for t in self.layer.getTactics(request) if t.name in OWN}

    def check(
        self, epilogue: Epilogue = Epilogue(), operands: list[Any] | None = None,  # noqa: B008
        threads: int = 2,
    ) -> set[str]:  # fmt: skip
        """Compare every own tactic with the reference; returns their names."""
        operands = operands or []
        expected, magnitude = self.expected(epilogue, operands)
        allowed = ROUNDING[self.output.dtype] * (magnitude + np.abs(expected) + 1)
        tactics = self.tactics(epilogue, operands, threads)
        for name, tactic in tactics.items():
            (got,) = run_layer(
                self.layer.clone(), [*self.arrays, *operands], inputs=self.described(operands),
                outputs=[self.output], constants=range(1, len(self.arrays)), tactic=tactic,
                epilogue=epilogue, threads=threads,
            )  # fmt: skip
            assert got.dtype == self.output.dtype.numpy
            error = np.abs(got.astype(np.float64) - expected)
            assert (error <= allowed).all(), (name, (error / allowed).max())
        return set(tactics)


def depthwise(
    rng: Any, channels: int, spatial: tuple[int, int], kernel: tuple[int, int], batch: int = 1,
    dtype: DataType = F32, layout: Format = LAST, bias: bool = True, **attributes: Any,
) -> Problem:  # fmt: skip
    layer = Convolution(groups=channels, **attributes)
    return Problem(
        rng, layer, (batch, channels, *spatial), channels, kernel, bias=bias, inner=dtype,
        outer=dtype, before=layout, after=layout,
    )  # fmt: skip


def shallow(
    rng: Any, source: tuple[int, ...], outputs: int, kernel: tuple[int, int],
    dtype: DataType = F32, layout: Format = LAST, bias: bool = True, **attributes: Any,
) -> Problem:  # fmt: skip
    layer = Convolution(**attributes)
    return Problem(
        rng, layer, source, outputs, kernel, bias=bias, outer=dtype, before=LINEAR, after=layout
    )


def product(
    rng: Any, source: tuple[int, ...], outputs: int, inner: DataType = F32, outer: DataType = F32,
    bias: bool = True,
) -> Problem:  # fmt: skip
    return Problem(rng, Convolution(), source, outputs, (1, 1), bias=bias, inner=inner, outer=outer)


def has_pairs() -> bool:
    return {"avx512bf16", "avx512bw", "avx512vl"} <= cpu.features()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_windows(
    rng: Any, stride: int, size: int, layout: Format, dtype: DataType, threads: int
) -> None:
    for width in (7, 10, 24):
        made = depthwise(
            rng, 48, (9, width), (size, size), 2, dtype, layout, strides=(stride, stride),
            padding=(size // 2,) * 4,
        )  # fmt: skip
        names = made.check(threads=threads)
        pairs = dtype is BF16 and layout is LAST and size < 7 and has_pairs()
        assert names == ({"depthwise", "depthwise:pairs"} if pairs else {"depthwise"})


@settings(max_examples=120, deadline=None)
@given(
    batch=st.integers(1, 2), channels=st.integers(2, 70), height=st.integers(1, 12),
    width=st.integers(1, 40), size=st.sampled_from([3, 5, 2]),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 3)] * 4), threads=st.integers(1, 3),
    bias=st.booleans(), dtype=st.sampled_from([F32, BF16]),
)  # fmt: skip
def test_random_depthwise(
    batch: int, channels: int, height: int, width: int, size: int, strides: tuple[int, int],
    padding: tuple[int, ...], threads: int, bias: bool, dtype: DataType,
) -> None:  # fmt: skip
    if height + padding[0] + padding[2] < size or width + padding[1] + padding[3] < size:
        return
    made = depthwise(
        np.random.default_rng(5), channels, (height, width), (size, size), batch, dtype,
        bias=bias, strides=strides, padding=padding,
    )  # fmt: skip
    assert "depthwise" in made.check(threads=threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("outputs", [16, 32, 80])
def test_shallow_outputs(
    rng: Any, outputs: int, layout: Format, dtype: DataType, threads: int
) -> None:
    for kernel, stride in ((3, 1), (3, 2), (7, 2), (5, 3)):
        made = shallow(
            rng, (2, 3, 20, 37), outputs, (kernel, kernel), dtype, layout,
            strides=(stride, stride), padding=(kernel // 2,) * 4,
        )  # fmt: skip
        names = made.check(threads=threads)
        pairs = dtype is BF16 and has_pairs()
        assert names == ({"shallow", "shallow:pairs"} if pairs else {"shallow"})


@settings(max_examples=120, deadline=None)
@given(
    channels=st.integers(1, 4), outputs=st.integers(1, 70), height=st.integers(1, 9),
    width=st.integers(1, 60), kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(*[st.integers(0, 4)] * 4), threads=st.integers(1, 3),
    bias=st.booleans(), dtype=st.sampled_from([F32, BF16]),
)  # fmt: skip
def test_random_shallow(
    channels: int, outputs: int, height: int, width: int, kernel: tuple[int, int],
    strides: tuple[int, int], padding: tuple[int, ...], threads: int, bias: bool,
    dtype: DataType,
) -> None:  # fmt: skip
    tall, wide = height + padding[0] + padding[2], width + padding[1] + padding[3]
    if tall < kernel[0] or wide < kernel[1]:
        return
    made = shallow(
        np.random.default_rng(6), (1, channels, height, width), outputs, kernel, dtype,
        bias=bias, strides=strides, padding=padding,
    )  # fmt: skip
    assert "shallow" in made.check(threads=threads)


@settings(max_examples=120, deadline=None)
@given(
    batch=st.integers(1, 3), channels=st.integers(1, 40), outputs=st.integers(1, 150),
    height=st.integers(1, 9), width=st.integers(1, 20), threads=st.integers(1, 3),
    bias=st.booleans(), types=st.sampled_from([(F32, F32), (BF16, BF16), (BF16, F32)]),
)  # fmt: skip
def test_random_products(
    batch: int, channels: int, outputs: int, height: int, width: int, threads: int, bias: bool,
    types: tuple[DataType, DataType],
) -> None:  # fmt: skip
    made = product(
        np.random.default_rng(7), (batch, channels, height, width), outputs, *types, bias=bias
    )
    in_pairs = types[0] is BF16 and channels % 2 == 0 and has_pairs()
    assert made.check(threads=threads) == {"product:pairs" if in_pairs else "product"}


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_products_of_many_weights_share_them_out(rng: Any, dtype: DataType) -> None:
    for threads in (1, 2, 3):
        assert product(rng, (1, 96, 7, 7), 200, dtype, dtype).check(threads=threads)


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_products_add_a_residual(rng: Any, dtype: DataType) -> None:
    made = product(rng, (2, 16, 5, 7), 70, dtype, dtype)
    residual = rng.standard_normal(made.output.sizes).astype(dtype.numpy)
    epilogue = Epilogue((EpilogueStep(X + R, 1), EpilogueStep(STEPS["relu"])))
    assert made.check(epilogue, [residual])
    (tactic,) = made.tactics(epilogue, [residual], 2).values()
    assert tactic.may_alias == {3}


@pytest.mark.parametrize("instructions", kernels.INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", [F32, BF16])
def test_every_instruction_set(rng: Any, dtype: DataType, instructions: str) -> None:
    with kernels.at_most(instructions):
        for size, stride, channels in ((3, 1, 48), (3, 2, 37), (5, 1, 6), (5, 2, 20), (7, 1, 17)):
            attributes: Any = {"strides": (stride, stride), "padding": (size // 2,) * 4}
            assert depthwise(
                rng, channels, (9, 24), (size, size), 1, dtype, **attributes
            ).check()
            assert shallow(
                rng, (1, 3, 20, 37), channels, (size, size), dtype, **attributes
            ).check()
        for channels, outputs in ((6, 20), (17, 90)):
            assert product(rng, (2, channels, 5, 9), outputs, dtype, dtype).check()
        blocked = depthwise(rng, 32, (9, 10), (3, 3), 1, dtype, BLOCKED, padding=(1, 1, 1, 1))
        assert blocked.check()


def test_images_whose_rows_do_not_fit_are_left_to_others(rng: Any) -> None:
    made = shallow(rng, (1, 4, 8, 2000), 16, (7, 7))
    assert not made.tactics(Epilogue(), [], 1)


STEPS: dict[str, Expression] = {
    "relu": maximum(X, 0),
    "leaky": maximum(X, X * 0.1),
    "clip": minimum(maximum(X, -1), 6),
    "swish": X * logistic(X),
}


@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("layout", [LAST, BLOCKED])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["depthwise", "shallow"])
def test_epilogues(rng: Any, kind: str, step: str, layout: Format, dtype: DataType) -> None:
    if kind == "depthwise":
        made = depthwise(rng, 48, (9, 15), (3, 3), 2, dtype, layout, padding=(1, 1, 1, 1))
    else:
        made = shallow(rng, (2, 3, 9, 15), 48, (3, 3), dtype, layout, padding=(1, 1, 1, 1))
    assert made.check(Epilogue((EpilogueStep(STEPS[step]),)))
    residual = rng.standard_normal(made.output.sizes).astype(dtype.numpy)
    scale = rng.standard_normal(48).astype(np.float32)
    steps = (
        EpilogueStep(X * Input(1, axis=1), 1), EpilogueStep(STEPS[step]), EpilogueStep(X + R, 1),
    )  # fmt: skip
    wide = [scale, residual.astype(np.float32)]
    expected, magnitude = made.expected(Epilogue(steps), wide)
    for name, tactic in made.tactics(Epilogue(steps), [scale, residual], 2).items():
        (got,) = run_layer(
            made.layer.clone(), [*made.arrays, scale, residual],
            inputs=made.described([scale, residual]), outputs=[made.output],
            constants=range(1, len(made.arrays)), tactic=tactic, epilogue=Epilogue(steps),
        )  # fmt: skip
        bound = 3 * ROUNDING[dtype] * ((magnitude + 1) * (np.abs(scale).max() + 1) + 1)
        assert (np.abs(got.astype(np.float64) - expected) <= bound).all(), name


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_not_a_number_stays(rng: Any, dtype: DataType) -> None:
    for made in (
        depthwise(rng, 32, (8, 8), (3, 3), 1, dtype, padding=(1, 1, 1, 1)),
        shallow(rng, (1, 3, 8, 8), 32, (3, 3), dtype, padding=(1, 1, 1, 1)),
    ):
        made.arrays[0][0, 1, 4, 4] = np.nan
        epilogue = Epilogue((EpilogueStep(STEPS["clip"]),))
        expected, _ = made.expected(epilogue, [])
        for name, tactic in made.tactics(epilogue, [], 1).items():
            (got,) = run_layer(
                made.layer.clone(), made.arrays, inputs=made.inputs, outputs=[made.output],
                constants=(1, 2), tactic=tactic, epilogue=epilogue,
            )  # fmt: skip
            got = got.astype(np.float32)
            assert np.array_equal(np.isnan(got), np.isnan(expected)), name


@pytest.mark.parametrize("dtype", [F32, BF16])
@pytest.mark.parametrize("kind", ["depthwise", "shallow", "product"])
def test_slices_in_and_out(rng: Any, kind: str, dtype: DataType) -> None:
    if kind == "product":
        made = product(rng, (2, 12, 9, 11), 32, dtype, dtype)
    elif kind == "depthwise":
        made = depthwise(rng, 32, (9, 11), (3, 3), 2, dtype, padding=(1, 1, 1, 1))
    else:
        made = shallow(rng, (2, 3, 9, 11), 32, (3, 3), dtype, padding=(1, 1, 1, 1))
    wide = TensorView(TensorDesc(dtype, (2, 96, 9, 11), LAST), 0)
    part = wide.slice(1, 16, 32).desc
    expected, magnitude = made.expected(Epilogue(), [])
    element = np.uint16 if dtype is BF16 else np.uint32
    for name, tactic in made.tactics(Epilogue(), [], 2).items():
        assert tactic.strided_inputs == tactic.strided_outputs == {0}
        with prepare_layer(
            made.layer.clone(), made.arrays, inputs=made.inputs, outputs=[part],
            constants=(1, 2), tactic=tactic,
        ) as prepared:
            ((memory, _),) = prepared.outputs
            flat = memory[: part.nbytes].view(element)
            flat[...] = 77
            prepared.recording.replay()
            steps = tuple(dtype.itemsize * step for step in part.element_strides)
            inside = np.ndarray(part.sizes, element, flat.data, 0, steps)
            got = inside.copy().view(dtype.numpy).astype(np.float64)
            inside[...] = 77
            assert (flat == 77).all(), name
        allowed = ROUNDING[dtype] * (magnitude + np.abs(expected) + 1)
        assert (np.abs(got - expected) <= allowed).all(), name


def test_what_has_no_form_is_not_offered(rng: Any) -> None:
    made = depthwise(rng, 32, (9, 9), (3, 3), dilations=(2, 2), padding=(2, 2, 2, 2))
    assert not made.tactics(Epilogue(), [], 1)
    made = depthwise(rng, 32, (9, 9), (3, 3))
    made.inputs[1] = replace(made.inputs[1], value=None)
    assert not made.tactics(Epilogue(), [], 1)
    layer = Convolution()
    image = TensorDesc(F32, (1, 3, 8, 8))
    weights = TensorDesc(F32, (16, 3, 3, 3))
    wrong = TensorDesc(BF16, (1, 16, 6, 6))  # linear
    assert not layer.supportsFormat(Combination((image, weights), (wrong,)))
