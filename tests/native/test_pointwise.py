"""The expression interpreter against NumPy's evaluation of the same expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugrt.plugins.data_types import DataType
from plugrt.plugins.errors import DeviceError, ShapeError
from plugrt.plugins.expression import (
    OPERATORS,
    Constant,
    Expression,
    Input,
    apply,
    clip,
    erf,
    evaluate,
    exp,
    log,
    logistic,
    maximum,
    rounded,
    tanh,
    where,
)
from plugrt.plugins.native import extension_available, pointwise
from plugrt.plugins.native._extension import lib
from plugrt.plugins.native.immediate import run_kernel
from plugrt.plugins.tensor import Format, TensorDesc

pytestmark = pytest.mark.skipif(
    not extension_available(), reason="the native extension is not built"
)

Array = np.ndarray[Any, np.dtype[Any]]
x, y = Input(0), Input(1)

SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e-30, -1e-30, 88.7, 89.5, -88.0, -104.0, 1e20,
     -1e20, 3.4e38, np.inf, -np.inf, np.nan],
    np.float32,
)  # fmt: skip

UNARY = [name for name, (arity, _) in OPERATORS.items() if arity == 1]
BINARY = [name for name, (arity, _) in OPERATORS.items() if arity == 2]


def run(expression: Expression, inputs: list[Array], dtype: Any, shape: Any = None) -> Array:
    if shape is None:
        shape = np.broadcast_shapes(*(array.shape for array in inputs))
    out = np.full(shape, 77).astype(dtype)
    pointwise.run(expression, inputs, out, thread_count=2)
    return out


def numpy_value(expression: Expression, inputs: list[Array], rank: int | None = None) -> Array:
    """NumPy's value in double precision."""
    with np.errstate(all="ignore"):
        doubles = [np.asarray(array, np.float64) for array in inputs]
        return np.asarray(evaluate(expression, doubles, rank))


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the instruction sets that the loops are compiled for."""
    if not lib.plugrt_pointwise_choose(request.param.encode()):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    lib.plugrt_pointwise_choose(b"")


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.usefixtures("instruction_set")
def test_unary_operators_on_ordinary_numbers(name: str) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(-4, 4, 3000), rng.uniform(-80, 80, 3000)])
    values = values.astype(np.float32)
    got = run(apply(name, x), [values], np.float32)
    expected = numpy_value(apply(name, x), [values])
    absolute = 3e-7 if name in ("sin", "cos") else 1e-37
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=absolute)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("sin", "cos")])
@pytest.mark.usefixtures("instruction_set")
def test_unary_operators_on_special_values(name: str) -> None:
    got = run(apply(name, x), [SPECIAL], np.float32)
    with np.errstate(all="ignore"):
        expected = numpy_value(apply(name, x), [SPECIAL]).astype(np.float32)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_large_angles(name: str) -> None:
    values = np.array([1e4, -3e6, 1e20, np.inf, np.nan, 8192, 8193, -8192], np.float32)
    got = run(apply(name, x), [values], np.float32)
    expected = numpy_value(apply(name, x), [values])
    np.testing.assert_allclose(got, expected, atol=3e-7)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("instruction_set")
def test_binary_operators(name: str, dtype: type) -> None:
    left, right = (a.ravel() for a in np.meshgrid(SPECIAL[:-4], SPECIAL[:-4]))
    left, right = left.astype(dtype), right.astype(dtype)
    if name == "mod":  # meaningful only where the quotient is representable
        keep = (np.abs(left) < 1e3) & (np.abs(right) > 0.1)
        left, right = left[keep], right[keep]
    got = run(apply(name, x, y), [left, right], dtype)
    with np.errstate(all="ignore"):
        expected = evaluate(apply(name, x, y), [left, right]).astype(dtype)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("name", ["min", "max"])
def test_nan_wins_in_minimum_and_maximum(name: str) -> None:
    left = np.array([np.nan, 1, np.nan], np.float32)
    right = np.array([1, np.nan, np.nan], np.float32)
    assert np.isnan(run(apply(name, x, y), [left, right], np.float32)).all()


INTEGER_OPERATORS = [
    "neg", "abs", "sign", "floor", "add", "sub", "mul", "min", "max", "mod", "lt", "le", "eq",
    "and", "or", "not",
]  # fmt: skip


@pytest.mark.parametrize("name", INTEGER_OPERATORS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_integers(name: str, dtype: type) -> None:
    rng = np.random.default_rng(2)
    info = np.iinfo(dtype)
    arity = OPERATORS[name][0]
    arrays = [
        rng.integers(info.min, info.max, 500, dtype=dtype, endpoint=True) for _ in range(arity)
    ]
    arrays = [np.where(rng.random(500) < 0.1, 0, array).astype(dtype) for array in arrays]
    expression = apply(name, *(Input(i) for i in range(arity)))
    got = run(expression, arrays, dtype)
    with np.errstate(all="ignore"):
        wide = evaluate(expression, [array.astype(np.int64) for array in arrays])
    np.testing.assert_array_equal(got, np.asarray(wide).astype(dtype))


def test_integer_powers_and_large_integers() -> None:
    base = np.array([2, -3, 0, 1, 10], np.int64)
    exponent = np.array([62, 3, 0, 5, 18], np.int64)
    got = run(apply("pow", x, y), [base, exponent], np.int64)
    np.testing.assert_array_equal(got, base**exponent)
    large = np.array([2**53 + 1, -(2**62) - 1], np.int64)
    np.testing.assert_array_equal(run(x + 1, [large], np.int64), large + 1)


STORED = [
    DataType.FLOAT32, DataType.FLOAT64, DataType.FLOAT16, DataType.BFLOAT16, DataType.INT8,
    DataType.UINT8, DataType.INT16, DataType.UINT16, DataType.INT32, DataType.UINT32,
    DataType.INT64, DataType.UINT64, DataType.BOOL,
]  # fmt: skip


@pytest.mark.parametrize("source", STORED)
@pytest.mark.parametrize("target", STORED)
@pytest.mark.parametrize("layout", ["contiguous", "strided"])
@pytest.mark.usefixtures("instruction_set")
def test_conversions(source: DataType, target: DataType, layout: str) -> None:
    rng = np.random.default_rng(3)
    whole = rng.uniform(0, 100, 700).round(1).astype(source.numpy)
    out = np.zeros(1400, target.numpy)
    array, out = (whole, out[:700]) if layout == "contiguous" else (whole[::2], out[::4])
    pointwise.run(x, [array], out)
    with np.errstate(all="ignore"):
        expected = array.astype(target.numpy)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("target", [DataType.FLOAT16, DataType.BFLOAT16])
@pytest.mark.usefixtures("instruction_set")
def test_narrow_floats_round_to_nearest_even(target: DataType) -> None:
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2**32, 20000, dtype=np.uint32)
    edges = np.float32([65519, 65520, 6e-8, 3e-8])
    values = np.concatenate([bits.view(np.float32), SPECIAL, edges])
    denormal = (np.abs(values) < 1.2e-38) & (values != 0)
    values[denormal] = 0
    with np.errstate(all="ignore"):
        expected = values.astype(target.numpy).astype(np.float32)
        got = run(x, [values], target.numpy).astype(np.float32)
    np.testing.assert_array_equal(got, expected)
    every = np.arange(2**16, dtype=np.uint16).view(target.numpy)
    wide = every.astype(np.float32)
    wide[(np.abs(wide) < 1.2e-38)] = 0
    got = run(x, [every], np.float32)
    got[np.abs(got) < 1.2e-38] = 0
    np.testing.assert_array_equal(got, wide)


@pytest.mark.usefixtures("instruction_set")
def test_storing_saturates_and_nan_becomes_zero() -> None:
    values = np.array([-1e30, -200, -0.9, 127.9, 300, 1e30, np.inf, -np.inf, np.nan], np.float32)
    got = run(x, [values], np.int8)
    np.testing.assert_array_equal(got, [-128, -128, 0, 127, 127, 127, 127, -128, 0])
    got32 = run(x, [values], np.int32)
    low, high = -(2**31), 2**31 - 1
    np.testing.assert_array_equal(got32, [low, -200, 0, 127, 300, high, high, low, 0])
    got64 = run(x, [values], np.uint64)
    top = 2**64 - 1
    np.testing.assert_array_equal(got64, np.array([0, 0, 0, 127, 300, top, top, 0, 0], np.uint64))


def test_quantise_and_dequantise() -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal((3, 8, 5)).astype(np.float32) * 30
    scale = rng.uniform(0.1, 0.3, 8).astype(np.float32)
    quantise = rounded(x / Input(1, 1)) + 3
    got = run(quantise, [values, scale], np.int8, values.shape)
    expected = np.clip(np.rint(values / scale[:, None]) + 3, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(got, expected)
    back = run((x - 3) * Input(1, 1), [got, scale], np.float32, values.shape)
    np.testing.assert_allclose(back, (got.astype(np.float32) - 3) * scale[:, None], rtol=1e-6)


def test_a_dense_function_of_bytes_becomes_a_table() -> None:
    descs = [TensorDesc(DataType.INT8, (4, 33))]
    expression = rounded(logistic((x - 3) * 0.1) * 255) - 128
    table = pointwise.compile_pass(expression, descs, TensorDesc(DataType.INT8, (4, 33)))
    assert table.address == pointwise.kernel_address("plugrt_pointwise_lookup")
    every = np.arange(-128, 128, dtype=np.int8).reshape(4, 64)[:, :33].copy()
    got = run(expression, [every], np.int8)
    real = numpy_value(expression, [every])
    np.testing.assert_array_equal(got, real.astype(np.int8))


SHAPES = [
    [(3, 4, 5), (4, 1)],
    [(2, 3, 4, 5), (1, 3, 1, 1)],
    [(2, 1, 4, 1), (1, 3, 1, 5)],
    [(1,), (2, 2)],
    [(), (7,)],
    [(600, 3), (3,)],
    [(3, 600), (3, 1)],
    [(2, 3000), (2, 1)],
    [(5, 1), (1, 4)],
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcasting(shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(6)
    arrays = [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]
    expression = maximum(x * 2 + y, y)
    got = run(expression, arrays, np.float32)
    np.testing.assert_allclose(got, numpy_value(expression, arrays), rtol=1e-6, atol=1e-6)


def blocked(array: Array) -> Array:
    """NCHW as it lies in CHANNELS_BLOCKED_16."""
    n, c, h, w = array.shape
    return np.ascontiguousarray(array.reshape(n, c // 16, 16, h, w).transpose(0, 1, 3, 4, 2))


def unblocked(array: Array, shape: tuple[int, ...]) -> Array:
    return array.transpose(0, 1, 4, 2, 3).reshape(shape)


@pytest.mark.parametrize("output_format", list(Format))
@pytest.mark.parametrize("input_format", list(Format))
def test_formats_mix(input_format: Format, output_format: Format) -> None:
    rng = np.random.default_rng(7)
    shape = (2, 32, 5, 3)
    value = rng.standard_normal(shape).astype(np.float32)
    vector = rng.standard_normal(32).astype(np.float32)
    memory = {
        Format.LINEAR: value,
        Format.CHANNELS_LAST: np.ascontiguousarray(value.transpose(0, 2, 3, 1)),
        Format.CHANNELS_BLOCKED_16: blocked(value),
    }[input_format]
    out = np.empty(value.size, np.float32)
    f32 = DataType.FLOAT32
    compiled = pointwise.compile_pass(
        x * Input(1, 1) + 1,
        [TensorDesc(f32, shape, input_format), TensorDesc(f32, (32,))],
        TensorDesc(f32, shape, output_format),
    )
    run_kernel(
        compiled.address, compiled.arguments([(0, 0), (1, 0)], (2, 0)), [memory, vector, out], 2
    )
    if output_format is Format.CHANNELS_LAST:
        got = out.reshape(2, 5, 3, 32).transpose(0, 3, 1, 2)
    elif output_format is Format.CHANNELS_BLOCKED_16:
        got = unblocked(out.reshape(2, 2, 5, 3, 16), shape)
    else:
        got = out.reshape(shape)
    np.testing.assert_allclose(got, value * vector[:, None, None] + 1, rtol=1e-6, atol=1e-6)


def test_in_place() -> None:
    values = np.linspace(-3, 3, 5000, dtype=np.float32)
    expected = numpy_value(x * logistic(x), [values])
    pointwise.run(x * logistic(x), [values], values, thread_count=2)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mish_keeps_its_digits_everywhere(dtype: type) -> None:
    values = np.concatenate([np.linspace(-80, 80, 4001), [-np.inf, np.nan, 1e30]]).astype(dtype)
    got = run(x * tanh(log(1 + exp(x))), [values], dtype)
    wide = values.astype(np.float64)
    with np.errstate(all="ignore"):
        expected = wide * np.tanh(np.log1p(np.exp(wide)))
    rtol = 1e-6 if dtype is np.float32 else 1e-14
    np.testing.assert_allclose(got[:-3], expected[:-3], rtol=rtol)
    assert np.isnan(got[-3:-1]).all()  # -inf * 0, as NumPy has it
    assert got[-1] == values[-1]


def test_powers_by_multiplication() -> None:
    values = np.array([-3.0, -0.5, 0.25, 2.0, 100.0], np.float32)
    for exponent in (1, 2, 3, 4, -1, -2, -3):
        got = run(apply("pow", x, exponent), [values], np.float32)
        np.testing.assert_allclose(got, values.astype(np.float64) ** exponent, rtol=1e-6)
    positive = np.abs(values)
    for exponent in (0.5, -0.5, 0.3):
        got = run(apply("pow", x, exponent), [positive], np.float32)
        np.testing.assert_allclose(got, positive.astype(np.float64) ** exponent, rtol=1e-6)


def test_constant_expression_and_empty_tensors() -> None:
    out = np.zeros((3, 5), np.float32)
    pointwise.run(Constant(2.5), [], out)
    assert (out == 2.5).all()
    empty = np.zeros((0, 4), np.float32)
    pointwise.run(x + 1, [empty], empty)


def test_constant_scalar_inputs_join_the_program() -> None:
    f32 = DataType.FLOAT32
    for number in (2.0, 3.0):  # the second must not find the first in a cache
        scalar = TensorDesc(f32, (), value=np.float32(number).reshape(()))
        compiled = pointwise.compile_pass(
            x * y, [TensorDesc(f32, (4,)), scalar], TensorDesc(f32, (4,))
        )
        out = np.zeros(4, np.float32)
        block = compiled.arguments([(0, 0), (9, 0)], (1, 0))
        run_kernel(compiled.address, block, [np.arange(4, dtype=np.float32), out])
        np.testing.assert_array_equal(out, np.arange(4) * number)


def test_refusals_name_what_is_wrong() -> None:
    f32 = DataType.FLOAT32
    with pytest.raises(ShapeError, match="does not broadcast"):
        pointwise.compile_pass(x, [TensorDesc(f32, (3,))], TensorDesc(f32, (4,)))
    with pytest.raises(DeviceError, match="complex64"):
        pointwise.compile_pass(
            x, [TensorDesc(DataType.COMPLEX64, (3,))], TensorDesc(f32, (3,))
        )
    with pytest.raises(ShapeError, match="input 1 of 1"):
        pointwise.compile_pass(y, [TensorDesc(f32, (3,))], TensorDesc(f32, (3,)))
    # A sum of many products, kept alive until the end, cannot be held in registers.
    sums: Expression = Constant(0.0)
    terms = [exp(x * float(i + 2)) for i in range(80)]
    for term in terms:
        sums = sums + term
    for term in terms:
        sums = sums * term
    assert not pointwise.supports(sums)
    assert pointwise.supports(x + y)


def test_a_slot_outside_the_call_is_reported() -> None:
    f32 = DataType.FLOAT32
    compiled = pointwise.compile_pass(x + 1, [TensorDesc(f32, (3,))], TensorDesc(f32, (3,)))
    with pytest.raises(DeviceError, match="slot 5 of a call with 1 slots"):
        run_kernel(
            compiled.address, compiled.arguments([(5, 0)], (0, 0)), [np.zeros(3, np.float32)]
        )


# ---- random expressions ----------------------------------------------------------------------

SMOOTH = ["abs", "tanh", "logistic", "erf", "neg"]


def bounded_expressions() -> st.SearchStrategy[Expression]:
    """Expressions whose values stay moderate, so that rounding errors do."""
    leaves = st.sampled_from([Input(0), Input(1), Input(2, 1)]) | st.floats(-2, 2).map(
        lambda value: Constant(float(np.float32(value)))
    )

    def extend(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        return st.one_of(
            st.builds(apply, st.sampled_from(SMOOTH), children),
            st.builds(apply, st.sampled_from(["add", "sub", "min", "max"]), children, children),
            st.builds(lambda a, b: tanh(a) * b, children, children),
            st.builds(lambda a: log(exp(clip(a, -5, 5)) + 1), children),
            st.builds(lambda a, b: a / (erf(b) + 3), children, children),
            st.builds(lambda a, b: where(apply("lt", a, 9.5), a, b), children, children),
        )

    return st.recursive(leaves, extend, max_leaves=12)


def strided(array: Array, draw: Any) -> Array:
    """The same values behind other strides."""
    kind = draw(st.sampled_from(["dense", "fortran", "gaps", "sliced"]))
    if kind == "fortran":
        return np.asfortranarray(array)
    if kind in ("gaps", "sliced") and array.ndim:
        axis = -1 if kind == "gaps" else 0
        shape = list(array.shape)
        shape[axis] *= 2
        whole = np.zeros(shape, array.dtype)
        index: list[Any] = [slice(None)] * array.ndim
        index[axis] = slice(None, None, 2) if kind == "gaps" else slice(0, array.shape[axis])
        view = whole[tuple(index)]
        view[...] = array
        return view
    return array


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_expressions(data: st.DataObject) -> None:
    draw = data.draw
    expression = draw(bounded_expressions())
    sizes = st.lists(st.sampled_from([1, 2, 3, 5, 17, 40]), min_size=2, max_size=5)
    shape = tuple(draw(sizes.filter(lambda shape: np.prod(shape) <= 4000)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    second = tuple(1 if draw(st.booleans()) else size for size in shape)
    second = second[draw(st.integers(0, len(shape) - 1)) :]
    arrays = [
        strided(rng.uniform(-3, 3, s).astype(np.float32), draw)
        for s in (shape, second, (shape[1],))
    ]
    out = strided(np.zeros(shape, np.float32), draw)
    pointwise.run(expression, arrays, out, thread_count=draw(st.sampled_from([1, 2])))
    expected = np.broadcast_to(numpy_value(expression, arrays, len(shape)), shape)
    np.testing.assert_allclose(out, expected, rtol=2e-5, atol=2e-5)
