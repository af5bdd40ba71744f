"""Expressing a scalar expression as a list of oneDNN post-ops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...data_types import DataType
from ...expression import Expression, Input, apply, walk
from .attributes import Binary, Eltwise, PostOp, Sum
from .constants import Algorithm, post_op_operand
from .eltwise_forms import eltwise_matches
from .memory import MemoryDesc
from .patterns import Fits, Hole, match, number

MAXIMUM_POST_OPS = 32

_RUNNING = Input(0)
_X = Hole("x")
_OPERAND = Hole("operand", Fits.INPUT)
_SCALE = Hole("scale", Fits.CONSTANT)
_SHIFT = Hole("shift", Fits.CONSTANT)

_BINARY_FORMS = (
    (_X + _OPERAND, Algorithm.BINARY_ADD),
    (_X * _OPERAND, Algorithm.BINARY_MUL),
    (apply("sub", _X, _OPERAND), Algorithm.BINARY_SUB),
    (apply("div", _X, _OPERAND), Algorithm.BINARY_DIV),
    (apply("max", _X, _OPERAND), Algorithm.BINARY_MAX),
    (apply("min", _X, _OPERAND), Algorithm.BINARY_MIN),
)

# oneDNN's binary has the running value on the left only.
_REVERSED_FORMS = (
    (apply("sub", _OPERAND, _X), Eltwise(Algorithm.LINEAR, -1.0), Algorithm.BINARY_ADD),
    (apply("div", _OPERAND, _X), Eltwise(Algorithm.POW, 1.0, -1.0), Algorithm.BINARY_MUL),
)


@dataclass(frozen=True)
class MatchedPostOps:
    """Post-ops equal to an expression, and which input each binary one reads."""

    post_ops: tuple[PostOp, ...]
    operands: tuple[Input | None, ...]

    def bindings(self) -> Iterator[tuple[int, Input]]:
        """(argument number, input) of every tensor operand to bind."""
        for index, operand in enumerate(self.operands):
            if operand is not None:
                yield post_op_operand(index), operand


_Step = tuple[PostOp, "Input | None"]


def post_ops_for(
    expression: Expression,
    operands: Mapping[Input, MemoryDesc] | None = None,
    *,
    accumulates: int | None = None,
    accumulated_dtype: DataType | None = None,
) -> MatchedPostOps | None:
    """Post-ops that compute `expression` of the running value Input(0); None if there are none.

    `operands` describes each further input as oneDNN is to see it: same rank as the output,
    dims 1 where it broadcasts (a vector along axis 1 is [1, C, 1, 1]). Input `accumulates`
    lies in the output's buffer when the primitive starts, so that adding it, scaled and shifted
    by constants, becomes a Sum; `accumulated_dtype` is its type where it differs from the
    output's. An input without a description cannot be matched.
    """
    if any(
        isinstance(node, Input) and node.index == 0 and node != _RUNNING
        for node in walk(expression)
    ):
        return None  # the running value as a vector along an axis
    matcher = _Matcher(operands or {}, accumulates, accumulated_dtype)
    steps = matcher.steps(expression)
    if steps is None or len(steps) > MAXIMUM_POST_OPS:
        return None
    return MatchedPostOps(tuple(op for op, _ in steps), tuple(operand for _, operand in steps))


class _Matcher:
    """Peels one post-op after the other off the outside of an expression."""

    def __init__(
        self,
        operands: Mapping[Input, MemoryDesc],
        accumulates: int | None,
        accumulated_dtype: DataType | None,
    ) -> None:
        self._operands = operands
        self._accumulates = accumulates
        self._accumulated_dtype = accumulated_dtype
        self._known: dict[Expression, list[_Step] | None] = {}

    def steps(self, term: Expression) -> list[_Step] | None:
        """The post-ops of `term`, innermost first; None when something does not match."""
        if term == _RUNNING:
            return []
        if term not in self._known:
            self._known[term] = self._peel(term)
        return self._known[term]

    def _peel(self, term: Expression) -> list[_Step] | None:
        for outer, inner in self._candidates(term):
            rest = self.steps(inner)
            if rest is not None:
                return [*rest, *outer]
        return None

    def _candidates(self, term: Expression) -> Iterator[tuple[list[_Step], Expression]]:
        yield from self._sums(term)
        for eltwise, inner in eltwise_matches(term):
            yield [(eltwise, None)], inner
        for pattern, algorithm in _BINARY_FORMS:
            for filling in match(pattern, term):
                for step in self._binary(algorithm, filling[_OPERAND]):
                    yield [step], filling[_X]
        for pattern, first, algorithm in _REVERSED_FORMS:
            for filling in match(pattern, term):
                for step in self._binary(algorithm, filling[_OPERAND]):
                    yield [(first, None), step], filling[_X]

    def _binary(self, algorithm: Algorithm, operand: Expression) -> Iterator[_Step]:
        if isinstance(operand, Input) and operand.index not in (0, self._accumulates):
            desc = self._operands.get(operand)
            if desc is not None:
                yield Binary(algorithm, desc), operand

    def _sums(self, term: Expression) -> Iterator[tuple[list[_Step], Expression]]:
        if self._accumulates is None:
            return
        held = Input(self._accumulates)
        for added, scale, shift in (
            (held, 1.0, 0.0),
            (held * _SCALE, None, 0.0),
            (held + _SHIFT, 1.0, None),
            ((held + _SHIFT) * _SCALE, None, None),
        ):
            for filling in match(apply("add", _X, added), term):
                zero_point = -number(filling, _SHIFT) if shift is None else 0.0
                if zero_point != int(zero_point):
                    continue
                factor = number(filling, _SCALE) if scale is None else scale
                step = Sum(factor, int(zero_point), self._accumulated_dtype)
                yield [(step, None)], filling[_X]
