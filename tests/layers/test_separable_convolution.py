"""Separable convolutions: the kernel in both types, and where convolutions are offered as one."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt import Network
from plugrt.builtin_layers import kernels
from plugrt.builtin_layers.convolution import Convolution
from plugrt.builtin_layers.separable_convolution import SeparableConvolution
from plugrt.builtin_layers.separable_convolution.alternative import separable_forms
from plugrt.core.runtime.standalone import run_layer
from plugrt.plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Format,
    Input,
    LayerNode,
    Patch,
    ShapeError,
    TacticRequest,
    TensorDesc,
)

F32, BF16 = DataType.FLOAT32, DataType.BFLOAT16
ALLOWED = {F32: 1e-6, BF16: 2e-2}
"""Of the norm of the result, were it ones at least; three products and what lies between them are
rounded."""

RELU6, LEAKY = (1.0, 0.0, 6.0), (0.1, -inf, inf)


def data(
    rng: Any, source: tuple[int, ...], between: int, outputs: int, size: int, expands: bool
) -> list[Any]:
    """All inputs, of a size that keeps results near 1."""
    shapes: list[tuple[int, ...]] = [
        source, (between, 1, size, size), (between,), (outputs, between, 1, 1), (outputs,),
    ]  # fmt: skip
    if expands:
        shapes += [(between, source[1], 1, 1), (between,)]
    drawn = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    return [a / np.sqrt(a.shape[1]) if a.ndim == 4 and a is not drawn[0] else a for a in drawn]


def check(
    layer: SeparableConvolution, arrays: list[Any], dtype: DataType, threads: int,
    epilogue: Epilogue = Epilogue(), operands: tuple[Any, ...] = (),  # noqa: B008
) -> None:  # fmt: skip
    """Compare the kernel with the reference."""
    (exact,) = layer.reference([a.astype(np.float64) for a in arrays])
    exact = epilogue.apply(exact, [a.astype(np.float64) for a in operands])
    narrow = [a.astype(dtype.numpy) if a.ndim > 1 else a for a in (*arrays, *operands)]
    descs = [
        TensorDesc(DataType.of(a.dtype), a.shape, value=a) if 0 < k < len(arrays)
        else TensorDesc(DataType.of(a.dtype), a.shape, Format.CHANNELS_LAST)
        for k, a in enumerate(narrow)
    ]  # fmt: skip
    output = TensorDesc(dtype, exact.shape, Format.CHANNELS_LAST)
    request = TacticRequest(tuple(descs), (output,), epilogue, thread_count=threads)
    (tactic,) = layer.getTactics(request)
    assert tactic.name == "bands"
    (got,) = run_layer(
        layer.clone(), narrow, inputs=descs, outputs=[output], constants=range(1, len(arrays)),
        tactic=tactic, epilogue=epilogue, threads=threads,
    )  # fmt: skip
    error = np.linalg.norm(got.astype(np.float64) - exact)
    assert error <= ALLOWED[dtype] * (np.linalg.norm(exact) + exact.size**0.5)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 3), channels=st.integers(1, 20), between=st.integers(1, 150),
    outputs=st.integers(1, 100), height=st.integers(1, 40), width=st.integers(1, 40),
    size=st.sampled_from([3, 5]), stride=st.sampled_from([1, 2]), threads=st.integers(1, 3),
    expands=st.booleans(), dtype=st.sampled_from([F32, BF16]),
)  # fmt: skip
def test_random_shapes(
    batch: int, channels: int, between: int, outputs: int, height: int, width: int, size: int,
    stride: int, threads: int, expands: bool, dtype: DataType,
) -> None:  # fmt: skip
    source = (batch, 2 * channels, height, width)
    between = 2 * between if expands else source[1]
    arrays = data(np.random.default_rng(1), source, between, outputs, size, expands)
    layer = SeparableConvolution(
        strides=(stride, stride), padding=(size // 2,) * 4, expansion_activation=RELU6,
        depthwise_activation=LEAKY,
    )  # fmt: skip
    check(layer, arrays, dtype, threads)


@pytest.mark.parametrize("instructions", kernels.INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", [F32, BF16])
def test_every_instruction_set(rng: Any, dtype: DataType, instructions: str) -> None:
    layer = SeparableConvolution(padding=(1, 1, 1, 1))
    with kernels.at_most(instructions):
        check(layer, data(rng, (1, 8, 9, 11), 36, 20, 3, True), dtype, 2)


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_residual(rng: Any, dtype: DataType) -> None:
    arrays = data(rng, (2, 16, 30, 28), 96, 16, 3, True)
    residual = rng.standard_normal((2, 16, 30, 28)).astype(np.float32)
    epilogue = Epilogue((EpilogueStep(Input(0) + Input(1), 1),))
    layer = SeparableConvolution(padding=(1, 1, 1, 1), expansion_activation=RELU6)
    check(layer, arrays, dtype, 2, epilogue, (residual,))


def test_shapes_that_do_not_fit() -> None:
    shapes = [(1, 4, 8, 8), (6, 1, 3, 3), (6,), (5, 6, 1, 1), (5,)]
    with pytest.raises(ShapeError, match="do not fit"):
        SeparableConvolution().getOutputDimensions(0, [TensorDesc(F32, s) for s in shapes])
    shapes += [(6, 4, 1, 1), (6,)]
    found = SeparableConvolution().getOutputDimensions(0, [TensorDesc(F32, s) for s in shapes])
    assert found == (1, 5, 6, 6)


def bottleneck(
    expands: bool = True, second_reader: bool = False, height: int | str = "H"
) -> list[Patch]:
    """What is offered for the depthwise convolution of a small network."""
    random = np.random.default_rng(0)
    network = Network("bottleneck")
    x = network.add_input("x", "float32", [1, 4 if expands else 12, height, 64])

    def convolution(x: Any, shape: tuple[int, ...], **attributes: Any) -> Any:
        weights = random.standard_normal(shape).astype(np.float32)
        return network.add_layer("Convolution", [x, weights], **attributes).output

    if expands:
        x = network.add_layer("ReLU", [convolution(x, (12, 4, 1, 1))]).output
    wide = convolution(x, (12, 1, 3, 3), groups=12, padding=(1, 1, 1, 1))
    depthwise: LayerNode = network.layers[-1]
    wide = network.add_layer("LeakyReLU", [wide], slope=0.1).output
    network.mark_output(convolution(wide, (5, 12, 1, 1)))
    if second_reader:
        network.mark_output(wide)
    assert isinstance(depthwise.plugin, Convolution)
    return separable_forms(depthwise.plugin, depthwise)


def test_what_is_offered() -> None:
    two, three = bottleneck()
    (first,), (second,) = two.layers, three.layers
    assert first.plugin.attribute_values["depthwise_activation"] == pytest.approx(LEAKY)
    assert (len(first.inputs), len(second.inputs)) == (5, 7)
    assert second.plugin.attribute_values["expansion_activation"] == (0.0, -inf, inf)
    assert len(bottleneck(expands=False)) == 1


def test_what_others_read_stays() -> None:
    assert bottleneck(second_reader=True) == []


def test_what_stays_in_cache_is_left_alone() -> None:
    assert len(bottleneck(height=1500)) == 2
    assert bottleneck(height=64) == []
