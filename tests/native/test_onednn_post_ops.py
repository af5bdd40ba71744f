"""Scalar expressions as oneDNN post-ops: what matches, and that it computes the same."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

import numpy as np
import pytest

from plugrt.plugins.data_types import DataType
from plugrt.plugins.expression import (
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
    minimum,
    rounded,
    tanh,
    where,
)
from plugrt.plugins.expression import sqrt as root
from plugrt.plugins.native import onednn
from plugrt.plugins.native.onednn import (
    Algorithm,
    Argument,
    Attributes,
    Binary,
    Eltwise,
    MemoryDesc,
    Sum,
    post_ops_for,
)

pytestmark = pytest.mark.skipif(
    not onednn.available(), reason=f"no oneDNN: {onednn.unavailable_reason()}"
)

F32 = DataType.FLOAT32
x = Input(0)
SHAPE = (2, 16, 3, 5)


def gelu_tanh(x: Expression) -> Expression:
    return 0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x**3)))


FORMS: dict[str, tuple[Expression, list[Algorithm]]] = {
    "relu": (maximum(x, 0), [Algorithm.RELU]),
    "relu_where": (where(x > 0, x, 0), [Algorithm.RELU]),
    "leaky": (maximum(x, x * 0.1), [Algorithm.RELU]),
    "leaky_where": (where(x > 0, x, 0.1 * x), [Algorithm.RELU]),
    "leaky_negative_slope": (where(x > 0, x, -0.5 * x), [Algorithm.RELU]),
    "leaky_steep": (where(x < 0, 3 * x, x), [Algorithm.RELU]),
    "relu6": (clip(x, 0, 6), [Algorithm.CLIP_V2]),
    "clip": (clip(x, -0.3, 0.7), [Algorithm.CLIP_V2]),
    "clip_other_order": (maximum(minimum(x, 0.7), -0.3), [Algorithm.CLIP_V2]),
    "floor_at": (maximum(x, -0.5), [Algorithm.CLIP_V2]),
    "cap_at": (minimum(x, 0.5), [Algorithm.CLIP_V2]),
    "logistic": (1 / (1 + exp(-x)), [Algorithm.LOGISTIC]),
    "tanh": (tanh(x), [Algorithm.TANH]),
    "elu": (where(x > 0, x, 1.5 * (exp(x) - 1)), [Algorithm.ELU]),
    "elu_mirrored": (where(x < 0, exp(x) - 1, x), [Algorithm.ELU]),
    "swish": (x * logistic(x), [Algorithm.SWISH]),
    "swish_scaled": (x * logistic(1.7 * x), [Algorithm.SWISH]),
    "mish": (x * tanh(log(1 + exp(x))), [Algorithm.MISH]),
    "softplus": (log(1 + exp(x)), [Algorithm.SOFT_RELU]),
    "softplus_sharp": (log(1 + exp(2 * x)) / 2, [Algorithm.SOFT_RELU]),
    "gelu": (0.5 * x * (1 + erf(x / sqrt(2))), [Algorithm.GELU_ERF]),
    "gelu_associated": (x * (0.5 * (1 + erf(x / sqrt(2)))), [Algorithm.GELU_ERF]),
    "gelu_distributed": (x * (0.5 + 0.5 * erf(x * 0.70710678)), [Algorithm.GELU_ERF]),
    "gelu_tanh": (gelu_tanh(x), [Algorithm.GELU_TANH]),
    "gelu_tanh_factored": (
        x * 0.5 * (1 + tanh(x * sqrt(2 / pi) * (1 + 0.044715 * x * x))),
        [Algorithm.GELU_TANH],
    ),
    "hardsigmoid": (clip(0.2 * x + 0.5, 0, 1), [Algorithm.HARDSIGMOID]),
    "hardsigmoid_of_relu6": (clip(x + 3, 0, 6) / 6, [Algorithm.HARDSIGMOID]),
    "hardswish": (x * clip(x + 3, 0, 6) / 6, [Algorithm.HARDSWISH]),
    "hardswish_gated": (x * clip(x * (1 / 6) + 0.5, 0, 1), [Algorithm.HARDSWISH]),
    "affine": (2 * x + 3, [Algorithm.LINEAR]),
    "shift_then_scale": ((x + 3) * 2, [Algorithm.LINEAR]),
    "minus": (3 - x, [Algorithm.LINEAR]),
    "negated": (-x, [Algorithm.LINEAR]),
    "abs": (abs(x), [Algorithm.ABS]),
    "square": (x * x, [Algorithm.SQUARE]),
    "round": (rounded(x), [Algorithm.ROUND]),
    "exp": (exp(x), [Algorithm.EXP]),
    "positive_root": (root(abs(x)), [Algorithm.ABS, Algorithm.SQRT]),
    "logarithm": (log(abs(x) + 1), [Algorithm.ABS, Algorithm.LINEAR, Algorithm.LOG]),
    "power": (abs(x) ** 1.5, [Algorithm.ABS, Algorithm.POW]),
    "reciprocal": (2 / (abs(x) + 1), [Algorithm.ABS, Algorithm.LINEAR, Algorithm.POW]),
    "rsqrt": (apply("rsqrt", abs(x) + 1), [Algorithm.ABS, Algorithm.LINEAR, Algorithm.POW]),
    "chain": (maximum(2 * tanh(x) + 1, 0), [Algorithm.TANH, Algorithm.LINEAR, Algorithm.RELU]),
}


def computed(
    matched: onednn.MatchedPostOps, value: Any, operands: dict[Input, Any] | None = None
) -> Any:
    """The post-ops behind a primitive that adds nothing itself."""
    desc = MemoryDesc.dense(value.shape, F32)
    primitive = onednn.eltwise(
        Algorithm.LINEAR, desc, desc, alpha=1.0, attributes=Attributes(post_ops=matched.post_ops)
    )
    out = np.empty_like(value)
    bound = {number: (operands or {})[leaf] for number, leaf in matched.bindings()}
    primitive.execute({Argument.SRC: value, Argument.DST: out, **bound})
    return out


@pytest.mark.parametrize("name", FORMS)
def test_functions_of_one_value(name: str) -> None:
    expression, algorithms = FORMS[name]
    matched = post_ops_for(expression)
    assert matched is not None
    assert [op.algorithm for op in matched.post_ops if isinstance(op, Eltwise)] == algorithms
    value = np.linspace(-5, 5, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    expected = evaluate(expression, [value.astype(np.float64)])
    np.testing.assert_allclose(computed(matched, value), expected, rtol=2e-3, atol=2e-4)


OPERAND_FORMS: list[Callable[[Expression, Expression], Expression]] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - b,
    lambda a, b: b - a,
    lambda a, b: a / b,
    lambda a, b: b / (abs(a) + 1),
    lambda a, b: maximum(a, b),
    lambda a, b: minimum(b, a),
    lambda a, b: maximum(a * b + b, 0),
]


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("form", range(len(OPERAND_FORMS)))
def test_tensor_and_channel_operands(form: int, axis: int | None) -> None:
    rng = np.random.default_rng(form)
    value = rng.standard_normal(SHAPE).astype(np.float32)
    shape = SHAPE if axis is None else (1, SHAPE[1], 1, 1)
    operand = (rng.standard_normal(shape) + 3).astype(np.float32)
    leaf = Input(1, axis)
    expression = OPERAND_FORMS[form](x, leaf)
    matched = post_ops_for(expression, {leaf: MemoryDesc.dense(shape, F32)})
    assert matched is not None
    assert any(isinstance(op, Binary) for op in matched.post_ops)
    inputs = [value, operand if axis is None else operand.ravel()]
    expected = evaluate(expression, inputs, rank=4)
    got = computed(matched, value, {leaf: operand})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_residual_held_in_the_output_becomes_a_sum() -> None:
    matched = post_ops_for(maximum(x + Input(1), 0), accumulates=1)
    assert matched is not None
    assert matched.post_ops == (Sum(), Eltwise(Algorithm.RELU))
    assert list(matched.bindings()) == []
    quantised = maximum(x + (Input(1) - 5) * 0.25, 0)
    matched = post_ops_for(quantised, accumulates=1, accumulated_dtype=DataType.INT8)
    assert matched is not None
    assert matched.post_ops[0] == Sum(0.25, 5, DataType.INT8)
    scaled = post_ops_for(x + Input(1) * 0.5, accumulates=1)
    assert scaled is not None
    assert scaled.post_ops == (Sum(0.5),)


def test_bindings_count_every_post_op() -> None:
    first, second = Input(1), Input(2, 1)
    full, vector = MemoryDesc.dense(SHAPE, F32), MemoryDesc.dense((1, 16, 1, 1), F32)
    matched = post_ops_for(tanh(x * second) + first, {first: full, second: vector})
    assert matched is not None
    assert [type(op) for op in matched.post_ops] == [Binary, Eltwise, Binary]
    assert list(matched.bindings()) == [
        (onednn.post_op_operand(0), second),
        (onednn.post_op_operand(2), first),
    ]


UNMATCHED = {
    "twice the running value, unrelated": x * tanh(x),
    "sine": apply("sin", x),
    "condition on an operand": where(Input(1) > 0, x, 2 * x),
    "running value twice behind an operand": x + Input(1) * x,
    "operand of unknown layout": x + Input(3),
    "nothing of the running value": Input(1) * 2,
    "steep maximum": maximum(x, 2 * x),
    "running value as a vector": x + Input(0, 1),
    "residual used twice": (x + Input(2)) * Input(2),
}


@pytest.mark.parametrize("name", UNMATCHED)
def test_what_oneDNN_cannot_express_does_not_match(name: str) -> None:  # noqa: N802
    operands = {Input(1): MemoryDesc.dense(SHAPE, F32)}
    assert post_ops_for(UNMATCHED[name], operands, accumulates=2) is None


def test_nothing_to_do_needs_no_post_ops() -> None:
    matched = post_ops_for(x)
    assert matched is not None
    assert matched.post_ops == ()


def test_more_post_ops_than_oneDNN_takes() -> None:  # noqa: N802
    expression: Expression = x
    for _ in range(20):
        expression = tanh(abs(expression))
    assert post_ops_for(expression) is None
