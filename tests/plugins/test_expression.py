"""Scalar expressions: canonical forms, algebra, and what travels in plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt.plugins import Epilogue, EpilogueStep, Expression, Input, ShapeError
from plugrt.plugins.expression import (
    OPERATORS,
    Constant,
    affine,
    apply,
    clip,
    evaluate,
    exp,
    from_plain,
    logistic,
    maximum,
    to_plain,
    where,
)

x, y = Input(0), Input(1)


def expressions() -> st.SearchStrategy[Expression]:
    leaf = st.one_of(
        st.just(x), st.just(y), st.floats(-3, 3, width=32).map(lambda v: Constant(float(v)))
    )
    names = sorted(OPERATORS)

    def combine(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        return st.sampled_from(names).flatmap(
            lambda name: st.tuples(*[children] * OPERATORS[name][0]).map(
                lambda operands: apply(name, *operands)
            )
        )

    return st.recursive(leaf, combine, max_leaves=8)


@given(expressions())
def test_plain_form_is_lossless(expression: Expression) -> None:
    plain = to_plain(expression)  # NaN constants differ from themselves: compare the plain forms
    assert to_plain(from_plain(plain)) == plain


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (where(x > 0, x, 0.1 * x), maximum(x, 0.1 * x)),
        (where(x < 0, 0.1 * x, x), maximum(x, 0.1 * x)),
        (where(x > 0, x, 0), maximum(x, 0)),
        (1 / (1 + exp(-x)), logistic(x)),
        (x - 2, x + -2.0),
        ((x * 2) * 3, x * 6),
        (0 - (0 - x), x),
        (y + x, x + y),
        (x**2, x * x),
    ],
)
def test_two_ways_to_write_a_function_are_equal(
    written: Expression, canonical: Expression
) -> None:
    assert written == canonical


def test_a_shared_term_stays_linear_in_size() -> None:
    term: Expression = x
    for _ in range(60):
        term = term * term
    assert len(to_plain(term)) == 61
    assert from_plain(to_plain(term)) == term


def test_affine_recognises_batch_norm() -> None:
    mean, variance, scale, shift = (Input(k, axis=1) for k in range(1, 5))
    found = affine((x - mean) * apply("rsqrt", variance + 1e-5) * scale + shift)
    assert found is not None
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 3, 4, 4))
    vectors = [rng.random(3) + 0.5 for _ in range(4)]
    a, b = (evaluate(part, [image, *vectors], rank=4) for part in found)
    whole = evaluate(
        (x - mean) * apply("rsqrt", variance + 1e-5) * scale + shift, [image, *vectors], rank=4
    )
    np.testing.assert_allclose(a * image + b, whole)


@pytest.mark.parametrize("expression", [x * x, maximum(x, 0), exp(x), y + 1, 1 / x])
def test_affine_refuses_what_is_not(expression: Expression) -> None:
    assert affine(expression) is None


def test_epilogue_composes_steps_and_operands() -> None:
    epilogue = Epilogue((
        EpilogueStep(maximum(x, 0.1 * x)),
        EpilogueStep(x + y, operands=1),
        EpilogueStep(clip(x, 0, 6) * y, operands=1),
    ))  # fmt: skip
    rng = np.random.default_rng(1)
    value, first, second = rng.standard_normal((3, 2, 3))
    stepwise = epilogue.apply(value, [first, second])
    at_once = evaluate(epilogue.composed(), [value, first, second])
    np.testing.assert_allclose(at_once, stepwise)
    expected = np.clip(np.maximum(value, 0.1 * value) + first, 0, 6) * second
    np.testing.assert_allclose(stepwise, expected)


@pytest.mark.parametrize(
    "plain",
    [
        [],
        [["nonsense", 0]],
        [["input"]],
        [["add", 0, 1]],
        [["constant", "zz"]],
        [["input", 0, None], ["add", 0]],
    ],
)
def test_malformed_plain_forms_are_refused(plain: list) -> None:
    with pytest.raises(ShapeError):
        from_plain(plain)


def test_unknown_operators_are_named() -> None:
    with pytest.raises(ShapeError, match="unknown operator 'cube'"):
        apply("cube", x)
