"""Which scalar expressions oneDNN's eltwise algorithms compute, written as patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf, pi, sqrt

from ...expression import (
    Constant,
    Expression,
    apply,
    erf,
    exp,
    log,
    logistic,
    maximum,
    minimum,
    rounded,
    tanh,
    where,
)
from .attributes import Eltwise
from .constants import Algorithm
from .patterns import Filling, Fits, Hole, close, match, number

X = Hole("x")
A = Hole("a", Fits.CONSTANT)
B = Hole("b", Fits.CONSTANT)
C = Hole("c", Fits.CONSTANT)

Parameter = float | Hole | Callable[[Filling], float]


@dataclass(frozen=True)
class EltwiseForm:
    """A pattern over X and the eltwise it stands for, if `accept` likes the constants."""

    pattern: Expression
    algorithm: Algorithm
    alpha: Parameter = 0.0
    beta: Parameter = 0.0
    accept: Callable[[Filling], bool] = lambda filling: True

    def eltwise(self, filling: Filling) -> Eltwise:
        """The eltwise with its parameters."""
        return Eltwise(self.algorithm, _value(self.alpha, filling), _value(self.beta, filling))


@lru_cache(maxsize=1024)
def eltwise_matches(term: Expression) -> tuple[tuple[Eltwise, Expression], ...]:
    """(eltwise, inner) with term = eltwise(inner), the most comprehensive forms first."""
    return tuple(
        (form.eltwise(filling), filling[X])
        for form in _FORMS
        for filling in match(form.pattern, term)
        if form.accept(filling)
    )


def _value(parameter: Parameter, filling: Filling) -> float:
    if isinstance(parameter, Hole):
        return number(filling, parameter)
    return parameter(filling) if callable(parameter) else parameter


def _times(*factors: Expression | float) -> list[Expression]:
    """The product of three factors, in every association."""
    a, b, c = (f if isinstance(f, Expression) else Constant(f) for f in factors)
    return [(a * b) * c, (a * c) * b, (b * c) * a]


def _limited(x: Expression, low: Expression | float, high: Expression | float) -> list[Expression]:
    """`x` limited to a range, in either order."""
    return [minimum(maximum(x, low), high), maximum(minimum(x, high), low)]


def _where_positive(positive: Expression, negative: Expression) -> list[Expression]:
    """One thing for X above zero, another below; at zero both must agree."""
    return [
        *(where(apply(operator, 0, X), positive, negative) for operator in ("lt", "le")),
        *(where(apply(operator, X, 0), negative, positive) for operator in ("lt", "le")),
    ]


def _gelu() -> Iterator[EltwiseForm]:
    bell = erf(X * (1 / sqrt(2)))
    for form in (*_times(X, bell + 1, 0.5), X * (bell * 0.5 + 0.5)):
        yield EltwiseForm(form, Algorithm.GELU_ERF)
    root, bend = sqrt(2 / pi), 0.044715
    square = X * X
    cubes = [apply("pow", X, 3) * bend, (square * X) * bend, *_times(square, X, bend)[1:],
             ((X * bend) * X) * X]  # fmt: skip
    inner_forms = [(X + cube) * root for cube in cubes]
    for bent in (square * bend, (X * bend) * X):
        inner_forms += _times(X, bent + 1, root)
    for inner in inner_forms:
        for form in (*_times(X, tanh(inner) + 1, 0.5), X * (tanh(inner) * 0.5 + 0.5)):
            yield EltwiseForm(form, Algorithm.GELU_TANH)


def _gates() -> Iterator[EltwiseForm]:
    """Products of x with a sigmoid or its straight-line imitation, and these alone."""
    yield EltwiseForm(X * tanh(log(exp(X) + 1)), Algorithm.MISH)
    yield EltwiseForm(X * logistic(X), Algorithm.SWISH, 1.0)
    yield EltwiseForm(X * logistic(X * A), Algorithm.SWISH, A)
    for gate in _limited(X * A + B, 0, 1):
        yield EltwiseForm(X * gate, Algorithm.HARDSWISH, A, B)
        yield EltwiseForm(gate, Algorithm.HARDSIGMOID, A, B)
    for gate in _limited(X + A, 0, B):  # x * relu6(x + 3) / 6
        for form in _times(X, gate, C):
            yield EltwiseForm(
                form,
                Algorithm.HARDSWISH,
                C,
                lambda f: number(f, A) * number(f, C),
                lambda f: close(number(f, B) * number(f, C), 1),
            )
    for gate in _limited(X + A, 0, B):
        yield EltwiseForm(
            gate * C,
            Algorithm.HARDSIGMOID,
            C,
            lambda f: number(f, A) * number(f, C),
            lambda f: close(number(f, B) * number(f, C), 1),
        )


def _units() -> Iterator[EltwiseForm]:
    """The rectifier and its relatives."""
    yield EltwiseForm(log(exp(X) + 1), Algorithm.SOFT_RELU, 1.0)
    yield EltwiseForm(
        log(exp(X * A) + 1) * B,
        Algorithm.SOFT_RELU,
        A,
        accept=lambda f: close(number(f, A) * number(f, B), 1),
    )
    for form in _where_positive(X, (exp(X) + -1) * A):
        yield EltwiseForm(form, Algorithm.ELU, A)
    for form in _where_positive(X, exp(X) + -1):
        yield EltwiseForm(form, Algorithm.ELU, 1.0)
    for form in _where_positive(X, X * A):
        yield EltwiseForm(form, Algorithm.RELU, A)
    yield EltwiseForm(maximum(X, 0), Algorithm.RELU)
    # Above slope 1, max(x, slope * x) bends the other way.
    yield EltwiseForm(
        maximum(X, X * A), Algorithm.RELU, A, accept=lambda f: 0 <= number(f, A) <= 1
    )
    for form in _limited(X, A, B):
        yield EltwiseForm(
            form, Algorithm.CLIP_V2, A, B, lambda f: number(f, A) <= number(f, B)
        )
    yield EltwiseForm(maximum(X, A), Algorithm.CLIP_V2, A, inf)
    yield EltwiseForm(minimum(X, B), Algorithm.CLIP_V2, -inf, B)


def _powers_and_lines() -> Iterator[EltwiseForm]:
    yield EltwiseForm(X * X, Algorithm.SQUARE)
    yield EltwiseForm(apply("pow", X, B) * A, Algorithm.POW, A, B)
    yield EltwiseForm(apply("pow", X, B), Algorithm.POW, 1.0, B)
    yield EltwiseForm(apply("div", A, X), Algorithm.POW, A, -1.0)
    yield EltwiseForm(apply("rsqrt", X), Algorithm.POW, 1.0, -0.5)
    yield EltwiseForm(X * A + B, Algorithm.LINEAR, A, B)
    yield EltwiseForm(
        (X + B) * A, Algorithm.LINEAR, A, lambda f: number(f, A) * number(f, B)
    )
    yield EltwiseForm(X * A, Algorithm.LINEAR, A)
    yield EltwiseForm(X + B, Algorithm.LINEAR, 1.0, B)
    yield EltwiseForm(apply("sub", B, X), Algorithm.LINEAR, -1.0, B)
    yield EltwiseForm(apply("neg", X), Algorithm.LINEAR, -1.0)


def _named() -> Iterator[EltwiseForm]:
    for operator, algorithm in (
        (logistic, Algorithm.LOGISTIC),
        (tanh, Algorithm.TANH),
        (exp, Algorithm.EXP),
        (log, Algorithm.LOG),
        (abs, Algorithm.ABS),
        (rounded, Algorithm.ROUND),
    ):
        yield EltwiseForm(operator(X), algorithm)
    yield EltwiseForm(apply("sqrt", X), Algorithm.SQRT)


_FORMS = [*_gelu(), *_gates(), *_units(), *_powers_and_lines(), *_named()]
