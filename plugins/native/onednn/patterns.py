"""Structural matching of canonical scalar expressions against patterns with holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from ...expression import COMMUTATIVE, Apply, Constant, Expression

RELATIVE_TOLERANCE = 1e-4
"""How exactly a written-out constant (0.7978..., 1/6) must equal a pattern's."""


class Fits(Enum):
    """What may fill a hole."""

    ANY = "any expression but a constant"
    CONSTANT = "a constant"
    INPUT = "an input"


@dataclass(frozen=True)
class Hole(Expression):
    """A place in a pattern; filled by the same expression wherever it occurs."""

    name: str
    fits: Fits = Fits.ANY

    def __str__(self) -> str:
        return f"?{self.name}"


Filling = Mapping[Hole, Expression]


def number(filling: Filling, hole: Hole) -> float:
    """The constant that fills `hole`, which must be one that only constants fit."""
    term = filling[hole]
    if not isinstance(term, Constant):
        raise TypeError(f"{hole} is filled by {term}, not by a constant")
    return term.value


def match(pattern: Expression, term: Expression) -> Iterator[Filling]:
    """Every way to fill the pattern's holes so that it becomes `term`."""
    return _match(pattern, term, {})


def _match(pattern: Expression, term: Expression, filled: Filling) -> Iterator[Filling]:
    if isinstance(pattern, Hole):
        if pattern in filled:
            if filled[pattern] == term:
                yield filled
        elif _fits(pattern, term):
            yield {**filled, pattern: term}
    elif isinstance(pattern, Constant):
        if isinstance(term, Constant) and close(pattern.value, term.value):
            yield filled
    elif (
        isinstance(pattern, Apply)
        and isinstance(term, Apply)
        and pattern.operator == term.operator
    ):
        yield from _match_operands(pattern, term, filled)
    elif not isinstance(pattern, Apply) and pattern == term:
        yield filled


def _match_operands(pattern: Apply, term: Apply, filled: Filling) -> Iterator[Filling]:
    orders = [term.operands]
    if pattern.operator in COMMUTATIVE:
        # Canonical order follows a digest of the operands, which a pattern cannot foresee.
        orders.append(tuple(reversed(term.operands)))
    for operands in orders:
        fillings = [filled]
        for part, operand in zip(pattern.operands, operands, strict=True):
            fillings = [more for one in fillings for more in _match(part, operand, one)]
        yield from fillings


def _fits(hole: Hole, term: Expression) -> bool:
    if hole.fits is Fits.CONSTANT:
        return isinstance(term, Constant)
    if hole.fits is Fits.INPUT:
        return not isinstance(term, (Apply, Constant))
    return not isinstance(term, Constant)


def close(left: float, right: float) -> bool:
    """Equal but for the digits an author left out."""
    return abs(left - right) <= RELATIVE_TOLERANCE * max(abs(left), abs(right))
