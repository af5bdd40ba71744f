"""Symbolic sizes as plain values, exactly and within limits.

An integer stands for itself. Other sizes are arrays of terms `[coefficient, [[atom, power],
...]]`, where an atom is a symbol's name or `[operation, left, right]`. Symbols, with their
bounds, are declared once per network, each before its first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

from ...plugins import Dim, DimLike, PlanError, Shape
from ...plugins.dims import Operation, Symbol, symbols
from .plain import integer, items, refuse, row, text

OPERATIONS = ("floordiv", "ceildiv", "mod", "min", "max")

MAXIMUM_SIZE = 2**48
"""Elements along one axis: more than any memory holds."""
MAXIMUM_COEFFICIENT = 2**62
MAXIMUM_DEPTH = 32
"""Operations inside operations (and bounds of symbols inside them)."""
MAXIMUM_DEGREE = 16
"""Sizes multiplied with each other."""
MAXIMUM_NODES = 1024
"""Terms, atoms and numbers of one size."""
MAXIMUM_RANK = 32
"""Axes of a shape."""

Atom = Union[Symbol, Operation]  # noqa: UP007 - Python 3.10 reads it at run time


def encode_dim(dim: DimLike) -> Any:
    """A size as a plain value."""
    if not isinstance(dim, Dim):
        return int(dim)
    return [
        [coefficient, [[_encode_atom(atom), power] for atom, power in product]]
        for product, coefficient in dim.terms
    ]


def _encode_atom(atom: Atom) -> Any:
    if isinstance(atom, Symbol):
        return atom.name
    return [atom.kind, encode_dim(atom.left), encode_dim(atom.right)]


def encode_symbols(shapes: Iterable[Shape]) -> list[list[Any]]:
    """Declarations `[name, bound]` of all symbols in these shapes, bounds' symbols first.

    Raises PlanError when two symbols of one name have different bounds.
    """
    found: dict[str, Symbol] = {}

    def declare(atom: Symbol) -> None:
        if found.setdefault(atom.name, atom) != atom:
            raise PlanError(
                f"two sizes named {atom.name!r} have different bounds "
                f"({atom.bound} and {found[atom.name].bound}); give layers distinct names"
            )

    def visit(atom: Symbol) -> None:
        if atom.bound is not None and atom.name not in found:
            for inner in symbols(atom.bound).values():
                visit(inner)
        declare(atom)

    for shape in shapes:
        for dim in shape:
            for atom in symbols(dim).values():
                visit(atom)
    return [[s.name, None if s.bound is None else encode_dim(s.bound)] for s in found.values()]


class DimDecoder:
    """Reads the sizes of one network. Every method raises PlanError, naming `what`."""

    def __init__(self) -> None:
        self._symbols: dict[str, Symbol] = {}
        self._measures: dict[str, tuple[int, int]] = {}
        self._nodes = 0

    def declare(self, value: Any, what: str) -> None:
        """Read the declaration of a symbol."""
        name, bound = row(value, what, 2)
        text(name, what)
        if name in self._symbols:
            refuse(what, name, "a new name")
        limit = None if bound is None else self.dim(bound, what)
        depth, degree = _measure(limit, self._measures) if limit is not None else (0, 1)
        self._check(depth + 1, max(degree, 1), what)
        self._symbols[name] = Symbol(name, limit)
        self._measures[name] = (depth + 1, max(degree, 1))

    def shape(self, value: Any, what: str) -> Shape:
        """Read a shape."""
        return tuple(items(value, what, self.dim, MAXIMUM_RANK))

    def dim(self, value: Any, what: str) -> DimLike:
        """Read a size that is not negative where it is a number."""
        if not isinstance(value, list):
            return integer(value, what, 0, MAXIMUM_SIZE)
        self._nodes = 0
        found = self._dim(value, what, 0)
        self._check(*_measure(found, self._measures), what)
        if encode_dim(found) != value:
            refuse(what, f"{found} in an unusual form", "the canonical form")
        return found

    def _dim(self, value: Any, what: str, depth: int) -> DimLike:
        if not isinstance(value, list):
            return integer(value, what, -MAXIMUM_COEFFICIENT, MAXIMUM_COEFFICIENT)
        self._check(depth, 0, what)
        self._count(len(value), what)
        terms = {}
        for term in value:
            coefficient, factors = row(term, what, 2)
            integer(coefficient, what, -MAXIMUM_COEFFICIENT, MAXIMUM_COEFFICIENT)
            product = items(factors, what, lambda item, at: self._factor(item, at, depth))
            terms[tuple(sorted(product, key=lambda factor: str(factor[0])))] = coefficient
        if not terms or list(terms) == [()] or 0 in terms.values():
            refuse(what, value, "a sum of terms that are not zero")
        return Dim(terms)

    def _factor(self, value: Any, what: str, depth: int) -> tuple[Atom, int]:
        self._count(1, what)
        atom, power = row(value, what, 2)
        integer(power, what, 1, MAXIMUM_DEGREE)
        if isinstance(atom, str):
            if atom not in self._symbols:
                refuse(what, atom, "a symbol declared before")
            return self._symbols[atom], power
        kind, left, right = row(atom, what, 3)
        if kind not in OPERATIONS:
            refuse(what, kind, f"one of {', '.join(OPERATIONS)}")
        operands = self._dim(left, what, depth + 1), self._dim(right, what, depth + 1)
        return Operation(kind, *operands), power

    def _count(self, more: int, what: str) -> None:
        self._nodes += more
        if self._nodes > MAXIMUM_NODES:
            refuse(what, "a size of too many terms", f"at most {MAXIMUM_NODES}")

    @staticmethod
    def _check(depth: int, degree: int, what: str) -> None:
        if depth > MAXIMUM_DEPTH:
            refuse(what, "a size nested too deeply", f"at most {MAXIMUM_DEPTH} levels")
        if degree > MAXIMUM_DEGREE:
            refuse(what, f"a size of degree {degree}", f"at most {MAXIMUM_DEGREE}")


def _measure(dim: DimLike, known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """(depth, degree) of a size; `known` has those of the symbols."""
    depth, degree = 0, 0
    if not isinstance(dim, Dim):
        return depth, degree
    for product, _ in dim.terms:
        total = 0
        for atom, power in product:
            if isinstance(atom, Symbol):
                inner = known[atom.name]
            else:
                sides = _measure(atom.left, known), _measure(atom.right, known)
                inner = 1 + max(s[0] for s in sides), max(1, *(s[1] for s in sides))
            depth = max(depth, inner[0])
            total += power * inner[1]
        degree = max(degree, total)
    return depth, degree


def checked_shape(shape: Shape, decoder: DimDecoder, what: str) -> list[Any]:
    """A shape as plain values that `decoder` is sure to read back."""
    plain = [encode_dim(dim) for dim in shape]
    decoder.shape(plain, what)
    return plain
