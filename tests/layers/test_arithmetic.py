"""Arithmetic, comparisons and logic on several inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from plugrt.builtin_layers import arithmetic, comparisons, logic
from plugrt.builtin_layers.arithmetic import Add, Divide, Modulo, Multiply, Power
from plugrt.builtin_layers.logic import And, Where
from plugrt.builtin_layers.sum import Sum
from plugrt.core.runtime.standalone import output_descs, run_layer
from plugrt.plugins import (
    DataType,
    Epilogue,
    EpilogueStep,
    Format,
    Input,
    LayerPlugin,
    ShapeError,
    TensorDesc,
    symbol,
)
from plugrt.plugins.expression import maximum

CheckLayer = Callable[..., list[str]]
BINARY: list[tuple[LayerPlugin, Callable[[Any, Any], Any]]] = [
    (Add(), np.add),
    (arithmetic.Subtract(), np.subtract),
    (Multiply(), np.multiply),
    (Divide(), np.divide),
    (Modulo(), np.mod),
    (arithmetic.Minimum(), np.minimum),
    (arithmetic.Maximum(), np.maximum),
    (comparisons.Less(), np.less),
    (comparisons.LessOrEqual(), np.less_equal),
    (comparisons.Greater(), np.greater),
    (comparisons.GreaterOrEqual(), np.greater_equal),
    (comparisons.Equal(), np.equal),
]
INTEGERS = [
    DataType.INT8, DataType.UINT8, DataType.INT16, DataType.UINT16, DataType.INT32,
    DataType.UINT32, DataType.INT64,
]  # fmt: skip


def truncating_divide(a: Any, b: Any) -> Any:
    exact = [int(abs(p) // abs(q)) * (1 if (p < 0) == (q < 0) else -1) for p, q in
             zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]  # fmt: skip
    return np.array(exact).reshape(a.shape)


@pytest.mark.parametrize("layout", list(Format))
@pytest.mark.parametrize(("layer", "formula"), BINARY, ids=lambda item: str(item))
def test_floats(
    layer: LayerPlugin, formula: Any, layout: Format, every_tactic: CheckLayer, rng: Any
) -> None:
    a = rng.integers(-3, 4, (2, 16, 3, 5)).astype(np.float32)
    b = rng.choice([-2.0, -1.0, 1.0, 2.0, 3.0], a.shape).astype(np.float32)
    np.testing.assert_allclose(layer.reference([a, b])[0], formula(a, b))
    assert every_tactic(layer, [a, b], layout=layout)


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda dtype: dtype.value)
@pytest.mark.parametrize(("layer", "formula"), BINARY, ids=lambda item: str(item))
def test_integers(layer: LayerPlugin, formula: Any, dtype: DataType, rng: Any) -> None:
    if isinstance(layer, Divide):
        formula = truncating_divide
    low = 0 if dtype.value.startswith("u") else -100
    a = rng.integers(low, 101, (4, 50)).astype(dtype.numpy)
    b = rng.integers(1, 8, a.shape).astype(dtype.numpy)
    if low:
        b *= rng.choice([-1, 1], a.shape).astype(dtype.numpy)
    with np.errstate(over="ignore"):
        expected = formula(a, b)
    (reference,) = layer.reference([a, b])
    (result,) = run_layer(layer, [a, b])
    wanted = np.bool_ if isinstance(layer, comparisons.Comparison) else a.dtype
    assert reference.dtype == result.dtype == wanted
    np.testing.assert_array_equal(reference, expected)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("divisor", [3, 7, 49, 100])
def test_integer_division_by_a_constant_is_exact(divisor: int) -> None:
    a = np.arange(-500, 501, dtype=np.int64)
    b = np.array(divisor, np.int64)
    (result,) = run_layer(Divide(), [a, b], constants=[1])
    np.testing.assert_array_equal(result, truncating_divide(a, np.full_like(a, divisor)))


def test_power() -> None:
    a = np.array([0.5, 2.0, 3.0, 9.0], np.float32)
    b = np.array([2.0, -1.0, 3.0, 0.5], np.float32)
    np.testing.assert_allclose(run_layer(Power(), [a, b])[0], [0.25, 0.5, 27.0, 3.0], rtol=1e-6)
    whole = np.array([2, -3, 5], np.int32)
    cubes = run_layer(Power(), [whole, np.array(3, np.int32)], constants=[1])[0]
    assert cubes.dtype == np.int32
    assert cubes.tolist() == [8, -27, 125]


@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=4),
    seed=st.integers(0, 1000),
)
def test_broadcasting(shapes: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in shapes.input_shapes)
    descs = [TensorDesc(DataType.FLOAT32, array.shape) for array in (a, b)]
    (output,) = output_descs(Add(), descs)
    assert output.shape == shapes.result_shape == Add().reference([a, b])[0].shape
    np.testing.assert_array_equal(run_layer(Add(), [a, b])[0], a + b)


def test_symbolic_batch_broadcasts() -> None:
    batch = symbol("N")
    x = TensorDesc(DataType.FLOAT32, (batch, 3, 4, 4))
    y = TensorDesc(DataType.FLOAT32, (3, 1, 1))
    assert Add().getOutputDimensions(0, [x, y]) == (batch, 3, 4, 4)


def test_types_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"float32 and int64 differ; convert .* Cast"):
        Add().getOutputDataType(0, [DataType.FLOAT32, DataType.INT64])
    with pytest.raises(ShapeError, match="type float32 where bool is wanted"):
        And().getOutputDataType(0, [DataType.FLOAT32, DataType.BOOL])


def test_sizes_are_followed_through_arithmetic() -> None:
    batch = symbol("N")
    sizes = np.empty(2, object)
    sizes[:] = [batch, 12]
    known = TensorDesc(DataType.INT64, (2,), value=sizes)
    factor = TensorDesc(DataType.INT64, (), value=np.array(4))
    product = Multiply().getOutputValue(0, [known, factor])
    assert list(product) == [batch * 4, 48]
    described = TensorDesc(DataType.INT64, (2,), value=product)
    assert list(Divide().getOutputValue(0, [described, factor])) == [batch, 12]
    assert list(Modulo().getOutputValue(0, [described, factor])) == [0, 0]
    numbers = Add().getOutputValue(0, [factor, factor])
    assert numbers.dtype == np.int64
    assert numbers == 8
    assert Add().getOutputValue(0, [TensorDesc(DataType.INT64, (2,)), factor]) is None


@pytest.mark.parametrize("name", ["And", "Or"])
def test_logic(name: str) -> None:
    a, b = np.array([[False], [True]]), np.array([[False, True]])
    expected = {"And": np.logical_and, "Or": np.logical_or}[name](a, b)
    layer = getattr(logic, name)()
    for result in (*run_layer(layer, [a, b]), *layer.reference([a, b])):
        assert result.dtype == np.bool_
        np.testing.assert_array_equal(result, expected)


def test_not() -> None:
    x = np.array([True, False, True])
    np.testing.assert_array_equal(run_layer(logic.Not(), [x])[0], ~x)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_where(dtype: Any, rng: Any) -> None:
    condition = rng.random((2, 1, 5)) < 0.5
    x = rng.integers(0, 2, (3, 5)).astype(dtype)
    y = rng.integers(0, 2, (2, 3, 1)).astype(dtype)
    (result,) = run_layer(Where(), [condition, x, y])
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.where(condition, x, y))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("layout", list(Format))
def test_sum(count: int, layout: Format, every_tactic: CheckLayer, rng: Any) -> None:
    terms = [rng.normal(size=(1, 16, 3, 4)).astype(np.float32) for _ in range(count)]
    scale = rng.normal(size=(1, 16, 3, 4)).astype(np.float32)
    assert every_tactic(Sum(), terms, layout=layout)
    epilogue = Epilogue((EpilogueStep(maximum(Input(0), 0) * Input(1), operands=1),))
    assert every_tactic(Sum(), [*terms, scale], layout=layout, epilogue=epilogue)


def test_sum_needs_inputs() -> None:
    with pytest.raises(ShapeError, match="no inputs"):
        Sum().getOutputDimensions(0, [])
