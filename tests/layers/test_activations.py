"""Activations and elementary functions against formulas written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from plugrt.builtin_layers import activations, elementary_functions
from plugrt.builtin_layers.activations import Clip, Gelu, LeakyReLU, ReLU, Sigmoid, Softplus
from plugrt.builtin_layers.prelu import PReLU
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    CalibratedRange,
    DataType,
    FixedRange,
    Format,
    LayerPlugin,
    SameRange,
    ShapeError,
    TensorDesc,
    symbol,
)

CheckLayer = Callable[..., list[str]]
Formula = Callable[[Any], Any]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def error_function(x: Any) -> Any:
    return np.vectorize(erf)(x)


ACTIVATIONS: list[tuple[LayerPlugin, Formula]] = [
    (ReLU(), lambda x: np.where(x > 0, x, 0)),
    (LeakyReLU(), lambda x: np.where(x > 0, x, 0.01 * x)),
    (LeakyReLU(slope=1.5), lambda x: np.where(x > 0, x, 1.5 * x)),
    (LeakyReLU(slope=-0.5), lambda x: np.where(x > 0, x, -0.5 * x)),
    (Sigmoid(), sigmoid),
    (activations.Tanh(), np.tanh),
    (activations.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (activations.Swish(), lambda x: x * sigmoid(x)),
    (activations.Swish(beta=1.7), lambda x: x * sigmoid(1.7 * x)),
    (activations.Elu(alpha=0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    (
        activations.Selu(),
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    ),
    (Clip(minimum=-0.5, maximum=1.0), lambda x: np.clip(x, -0.5, 1.0)),
    (Clip(minimum=0.25), lambda x: np.maximum(x, 0.25)),
    (Clip(maximum=0.25), lambda x: np.minimum(x, 0.25)),
    (Clip(minimum=2.0, maximum=1.0), lambda x: np.full_like(x, 1.0)),
    (activations.HardSigmoid(), lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    (activations.HardSwish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (Gelu(), lambda x: 0.5 * x * (1 + error_function(x / np.sqrt(2)))),
    (
        Gelu(approximate=True),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    (Softplus(), lambda x: np.logaddexp(0, x)),
]

FUNCTIONS: list[tuple[LayerPlugin, Formula, float]] = [
    (elementary_functions.Exp(), np.exp, 0),
    (elementary_functions.Log(), np.log, 6),
    (elementary_functions.Sqrt(), np.sqrt, 6),
    (elementary_functions.Abs(), np.abs, 0),
    (elementary_functions.Negate(), np.negative, 0),
    (elementary_functions.Erf(), error_function, 0),
    (elementary_functions.Floor(), np.floor, 0),
    (elementary_functions.Ceil(), np.ceil, 0),
    (elementary_functions.Round(), np.round, 0),
    (elementary_functions.Sign(), np.sign, 0),
    (elementary_functions.Sin(), np.sin, 0),
    (elementary_functions.Cos(), np.cos, 0),
    (elementary_functions.Reciprocal(), lambda x: 1 / x, 6),
]


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize(("layer", "formula"), ACTIVATIONS, ids=repr)
def test_activation(
    layer: LayerPlugin, formula: Formula, layout: Format, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.uniform(-5, 5, (2, 32, 3, 5)).astype(np.float32)
    np.testing.assert_allclose(layer.reference([x])[0], formula(x.astype(np.float64)), atol=1e-5)
    assert every_tactic(layer, [x], layout=layout, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("layer", "formula", "shift"), FUNCTIONS, ids=repr)
def test_elementary_function(
    layer: LayerPlugin, formula: Formula, shift: float, every_tactic: CheckLayer, rng: Any
) -> None:
    x = (rng.uniform(-5, 5, (3, 7, 5)) + shift).astype(np.float32)
    x[0, 0, :3] = (2.5, 3.5, 6.0)  # halves go to the even number
    expected = formula(x.astype(np.float64))
    np.testing.assert_allclose(layer.reference([x])[0], expected, rtol=1e-5, atol=1e-6)
    assert every_tactic(layer, [x], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "limits"),
    [
        (activations.Mish(), (0, inf)),
        (Softplus(), (0, inf)),
        (activations.Swish(), (0, inf)),
        (Sigmoid(), (0, 1)),
        (activations.Elu(), (-1, inf)),
        (Gelu(), (0, inf)),
    ],
    ids=repr,
)
def test_far_from_zero_nothing_overflows(layer: LayerPlugin, limits: tuple[float, float]) -> None:
    x = np.array([-1e4, -100, 100, 1e4], np.float32)
    low, high = limits
    expected = [low, low, min(high, 100), min(high, 1e4)]
    np.testing.assert_allclose(run_layer(layer, [x])[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["Abs", "Negate", "Sign", "Floor", "Ceil", "Round"])
def test_integers_stay_integers(name: str) -> None:
    layer = getattr(elementary_functions, name)()
    x = np.array([-7, -1, 0, 5, 2**30], np.int32)
    (result,) = run_layer(layer, [x])
    assert result.dtype == np.int32
    formula = {"Abs": abs, "Negate": lambda n: -n, "Sign": np.sign}.get(name, lambda n: n)
    assert result.tolist() == [int(formula(int(n))) for n in x]


NUMBERS = st.floats(-9, 9, width=32, allow_subnormal=False)


@given(array=arrays(np.float32, array_shapes(min_side=0), elements=NUMBERS))
def test_any_shape(array: Any) -> None:
    layer = LeakyReLU(slope=0.5)
    (desc,) = output_descs(layer, [TensorDesc(DataType.FLOAT32, array.shape)])
    (reference,) = layer.reference([array])
    assert reference.shape == desc.shape == array.shape
    # Kernels flush denormal numbers to zero.
    np.testing.assert_allclose(run_layer(layer, [array])[0], reference, rtol=0, atol=1e-37)


def test_symbolic_shape_and_range_rules() -> None:
    shape = (symbol("N"), 3, 8)
    assert output_descs(ReLU(), [TensorDesc(DataType.FLOAT32, shape)])[0].shape == shape
    assert ReLU().outputRange(0) == LeakyReLU().outputRange(0) == SameRange(0)
    assert LeakyReLU(slope=3.0).outputRange(0) == CalibratedRange()
    assert Sigmoid().outputRange(0) == FixedRange(0.0, 1.0)


@pytest.mark.parametrize("slope_shape", [(1,), (16, 1, 1), (1, 16, 4, 5)])
@pytest.mark.parametrize("layout", list(Format))
def test_prelu(
    slope_shape: tuple[int, ...], layout: Format, every_tactic: CheckLayer, rng: Any
) -> None:
    x = rng.normal(size=(2, 16, 4, 5)).astype(np.float32)
    slope = rng.uniform(0, 0.5, slope_shape).astype(np.float32)
    expected = np.maximum(x, 0) + slope * np.minimum(x, 0)
    np.testing.assert_allclose(PReLU().reference([x, slope])[0], expected, rtol=1e-6)
    assert every_tactic(PReLU(), [x, slope], layout=layout, constants=[1])


def test_prelu_refuses_slopes_that_enlarge_the_input() -> None:
    descs = [TensorDesc(DataType.FLOAT32, (1, 1, 4)), TensorDesc(DataType.FLOAT32, (3, 1))]
    with pytest.raises(ShapeError, match="slope 3x1 does not fit input 1x1x4"):
        PReLU().getOutputDimensions(0, descs)
