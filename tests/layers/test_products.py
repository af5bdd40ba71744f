"""MatMul and FullyConnected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt.builtin_layers.fully_connected import FullyConnected
from plugrt.builtin_layers.matmul import MatMul
from plugrt.core.runtime.standalone import run_layer
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
    symbol,
)
from plugrt.plugins.expression import maximum

F32 = DataType.FLOAT32
Check = Callable[..., list[str]]
SHAPES = [
    ((5, 7), (7, 4)),
    ((1, 64), (64, 33)),
    ((2, 3, 5, 7), (7, 4)),
    ((2, 3, 5, 7), (2, 3, 7, 4)),
    ((2, 1, 5, 7), (1, 3, 7, 4)),
    ((3, 7, 4), (2, 1, 4, 6)),
    ((7,), (7, 4)),
    ((5, 7), (7,)),
    ((2, 5, 7), (7,)),
    ((7,), (2, 7, 4)),
    ((7,), (7,)),
]


def random(rng: Any, *shapes: tuple[int, ...]) -> list[Any]:
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("constants", [(), (1,)])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(every_tactic: Check, rng: Any, shapes: Any, constants: Any) -> None:
    arrays = random(rng, *shapes)
    layer = MatMul()
    expected = layer.getOutputDimensions(0, [TensorDesc(F32, s) for s in shapes])
    assert layer.reference(arrays)[0].shape == expected
    names = every_tactic(layer, arrays, constants=constants)
    assert names
    assert "numpy" not in names


def test_matmul_of_other_types(every_tactic: Check, rng: Any) -> None:
    arrays = [rng.integers(-9, 9, shape) for shape in ((3, 4), (4, 2))]
    assert every_tactic(MatMul(), arrays) == ["numpy"]


@pytest.mark.parametrize("shapes", [SHAPES[0], SHAPES[2], SHAPES[3]], ids=str)
def test_matmul_epilogues(every_tactic: Check, rng: Any, shapes: Any) -> None:
    arrays = random(rng, *shapes)
    shape = (arrays[0] @ arrays[1]).shape
    row, whole = random(rng, shape[-1:], shape)
    steps = (EpilogueStep(Input(0) + Input(1), 1), EpilogueStep(maximum(Input(0), 0)))
    for operand in (row, whole):
        assert every_tactic(MatMul(), [*arrays, operand], epilogue=Epilogue(steps))


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [((3, 4), (5, 2), "must equal"), ((), (2,), "scalar"), ((2, 3, 4), (3, 4, 2), "broadcast")],
)
def test_matmul_refuses(left: Any, right: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        MatMul().getOutputDimensions(0, [TensorDesc(F32, left), TensorDesc(F32, right)])


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize("shape", [(2, 16, 3, 5), (1, 32, 1, 1)])
def test_fully_connected(
    every_tactic: Check, rng: Any, layout: Format, shape: tuple[int, ...]
) -> None:
    arrays = random(rng, shape, (9, int(np.prod(shape[1:]))), (9,))
    layer = FullyConnected()
    flat = arrays[0].reshape(shape[0], -1)
    np.testing.assert_allclose(
        layer.reference(arrays)[0], flat @ arrays[1].T + arrays[2], rtol=1e-4, atol=1e-4
    )
    names = every_tactic(layer, arrays, layout=layout, constants=(1, 2))
    assert names
    assert "numpy" not in names


def test_fully_connected_with_epilogue_and_without_bias(every_tactic: Check, rng: Any) -> None:
    arrays = random(rng, (4, 20), (9, 20), (4, 9))
    steps = (EpilogueStep(Input(0) + Input(1), 1), EpilogueStep(maximum(Input(0), 0)))
    names = every_tactic(
        FullyConnected(), arrays, constants=(1,), epilogue=Epilogue(steps)
    )
    assert names
    assert every_tactic(FullyConnected(), arrays[:2])


@pytest.mark.parametrize("output", [DataType.UINT8, F32])
def test_fully_connected_in_8_bits(rng: Any, output: DataType) -> None:
    source = rng.integers(0, 255, (3, 40)).astype(np.uint8)
    weights = rng.integers(-127, 127, (10, 40)).astype(np.int8)
    bias = rng.standard_normal(10).astype(np.float32)
    before, after = Quantization((0.02,), (100,)), Quantization((0.5,), (128,))
    kind = Quantization.of(rng.uniform(0.01, 0.02, 10), 0, axis=0)
    inputs = [
        TensorDesc(DataType.UINT8, source.shape, quantization=before),
        TensorDesc(DataType.INT8, weights.shape, quantization=kind, value=weights),
        TensorDesc(F32, bias.shape, value=bias),
    ]
    low = output is DataType.UINT8
    wanted = TensorDesc(output, (3, 10), quantization=after if low else None)
    layer = FullyConnected()
    tactics = layer.getTactics(TacticRequest(tuple(inputs), (wanted,), thread_count=2))
    assert tactics
    real = ((source - 100.0) * 0.02) @ (weights * np.array(kind.scale)[:, None]).T + bias
    expected = np.clip(np.rint(real / 0.5) + 128, 0, 255) if low else real
    for tactic in tactics:
        (got,) = run_layer(
            layer.clone(), [source, weights, bias], inputs=inputs, outputs=[wanted],
            constants=(1, 2), tactic=tactic,
        )  # fmt: skip
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1 if low else 1e-4)


def test_fully_connected_shapes() -> None:
    batch = symbol("batch")
    descs = [TensorDesc(F32, s) for s in ((batch, 4, 5, 5), (10, 100), (10,))]
    layer = FullyConnected()
    assert layer.getOutputDimensions(0, descs) == (batch, 10)
    with pytest.raises(ShapeError, match="elements per image"):
        layer.getOutputDimensions(0, [descs[0], replace(descs[1], shape=(10, 99))])
    with pytest.raises(ShapeError, match="one value for each"):
        layer.getOutputDimensions(0, [*descs[:2], replace(descs[2], shape=(9,))])
