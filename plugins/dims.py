"""Symbolic dimensions: integers that may depend on the input shapes.

A dimension is an `int` or a `Dim`. A `Dim` is kept in a canonical form, a sum of
products with integer coefficients over *atoms* (symbols, and floor, ceil, min and
max terms), so that equal expressions compare equal and shape rules can be written
in plain arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from .errors import ShapeError

DimLike = Union[int, "Dim"]

DATA_DEPENDENT = "@size"
"""Prefix of a data-dependent symbol's name until the core has qualified it."""
Shape = tuple[DimLike, ...]


@dataclass(frozen=True)
class Symbol:
    """A named size, fixed only when a context sees its inputs.

    `bound` is set for data-dependent sizes: the largest value the producing layer
    can ever report, itself a dimension.
    """

    name: str
    bound: DimLike | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Operation:
    """A term that does not reduce: `kind` is floordiv, ceildiv, mod, min or max."""

    kind: str
    left: DimLike
    right: DimLike

    def __str__(self) -> str:
        signs = {"floordiv": "//", "mod": "%"}
        if self.kind in signs:
            return f"({self.left}){signs[self.kind]}({self.right})"
        return f"{self.kind}({self.left},{self.right})"


Atom = Symbol | Operation
# One product: atoms with their powers, sorted; the empty product is the constant term.
Product = tuple[tuple[Atom, int], ...]

_EVALUATE: dict[str, Callable[[int, int], int]] = {
    "floordiv": lambda a, b: a // b,
    "ceildiv": lambda a, b: -(-a // b),
    "mod": lambda a, b: a % b,
    "min": min,
    "max": max,
}


class Dim:
    """A canonical symbolic size. Supports + - * // % with ints and other Dims."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: Mapping[Product, int]) -> None:
        self.terms: tuple[tuple[Product, int], ...] = tuple(
            sorted(((p, c) for p, c in terms.items() if c), key=lambda item: _sort_key(item[0]))
        )
        self._hash = hash(self.terms)

    def __add__(self, other: DimLike) -> DimLike:
        total = dict(self.terms)
        for product, coefficient in _terms(other):
            total[product] = total.get(product, 0) + coefficient
        return _simplest(total)

    def __mul__(self, other: DimLike) -> DimLike:
        total: dict[Product, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                product = _merge(left, right)
                total[product] = total.get(product, 0) + a * b
        return _simplest(total)

    def __neg__(self) -> DimLike:
        return self * -1

    def __sub__(self, other: DimLike) -> DimLike:
        return self + (other * -1)

    def __rsub__(self, other: int) -> DimLike:
        return (self * -1) + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: DimLike) -> DimLike:
        return floor_div(self, other)

    def __rfloordiv__(self, other: int) -> DimLike:
        return floor_div(other, self)

    def __mod__(self, other: DimLike) -> DimLike:
        return _operation("mod", self, other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        parts = []
        for product, coefficient in self.terms:
            factors = [str(atom) if power == 1 else f"{atom}^{power}" for atom, power in product]
            if coefficient != 1 or not factors:
                factors.insert(0, str(coefficient))
            parts.append("*".join(factors))
        return "+".join(parts)

    def __repr__(self) -> str:
        return f"Dim({self})"

    def __bool__(self) -> bool:
        return True


def symbol(name: str, bound: DimLike | None = None) -> Dim:
    """A new named size; with `bound`, a data-dependent one."""
    return Dim({((Symbol(name, bound), 1),): 1})


def data_dependent(bound: DimLike, output: int) -> Dim:
    """An extent that only the data decide, for `getOutputDimensions`.

    `bound` is its upper limit; output `output` of the same layer, an int64 scalar, holds
    the actual value after the layer has run. The core makes the symbol unique.
    """
    return symbol(f"{DATA_DEPENDENT}{output}", bound)


def floor_div(left: DimLike, right: DimLike) -> DimLike:
    """`left // right`, exact where every coefficient divides.

    Raises ShapeError for a division by zero.
    """
    if right == 0:
        raise ShapeError(f"dimension {left} is divided by zero; divide by a positive size")
    if isinstance(left, Dim) and isinstance(right, int):
        if all(coefficient % right == 0 for _, coefficient in left.terms):
            return _simplest({p: c // right for p, c in left.terms})
        divisible = {p: c // right for p, c in left.terms if p and c % right == 0}
        if divisible:
            rest = _simplest({p: c for p, c in left.terms if not (p and c % right == 0)})
            return _simplest(divisible) + floor_div(rest, right)
    if isinstance(left, Dim) and isinstance(right, Dim):
        quotient = _exact_quotient(left, right)
        if quotient is not None:
            return quotient
    return _operation("floordiv", left, right)


def ceil_div(left: DimLike, right: DimLike) -> DimLike:
    """`left / right` rounded up. Raises ShapeError for a division by zero."""
    if right == 0:
        raise ShapeError(f"dimension {left} is divided by zero; divide by a positive size")
    if isinstance(right, int):
        return floor_div(left + (right - 1), right)
    return _operation("ceildiv", left, right)


def dim_min(left: DimLike, right: DimLike) -> DimLike:
    """The smaller of two sizes."""
    return left if left == right else _operation("min", left, right)


def dim_max(left: DimLike, right: DimLike) -> DimLike:
    """The larger of two sizes."""
    return left if left == right else _operation("max", left, right)


def product(dims: Iterable[DimLike]) -> DimLike:
    """The product of sizes; 1 for none."""
    total: DimLike = 1
    for dim in dims:
        total = total * dim
    return total


def symbols(value: DimLike | Sequence[DimLike]) -> dict[str, Symbol]:
    """Every symbol in a size or shape, by name, those inside bounds included."""
    found: dict[str, Symbol] = {}
    pending: list[DimLike] = list(value) if isinstance(value, Sequence) else [value]
    while pending:
        dim = pending.pop()
        if not isinstance(dim, Dim):
            continue
        for atoms, _ in dim.terms:
            for atom, _power in atoms:
                if isinstance(atom, Operation):
                    pending += [atom.left, atom.right]
                elif atom.name not in found:
                    found[atom.name] = atom
                    if atom.bound is not None:
                        pending.append(atom.bound)
    return found


def evaluate(dim: DimLike, sizes: Mapping[str, int]) -> int:
    """The integer value of `dim`. A data-dependent symbol not in `sizes` takes its bound.

    Raises ShapeError when a symbol has neither a value nor a bound.
    """
    if not isinstance(dim, Dim):
        return int(dim)
    total = 0
    for atoms, coefficient in dim.terms:
        total += coefficient * math.prod(_atom_value(a, sizes) ** power for a, power in atoms)
    return total


def evaluate_shape(shape: Sequence[DimLike], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Every dimension of `shape` as an integer; see `evaluate`."""
    return tuple([dim if type(dim) is int else evaluate(dim, sizes) for dim in shape])


def substitute(dim: DimLike, values: Mapping[str, DimLike]) -> DimLike:
    """`dim` with symbols replaced by other sizes."""
    if not isinstance(dim, Dim):
        return dim
    total: DimLike = 0
    for atoms, coefficient in dim.terms:
        term: DimLike = coefficient
        for atom, power in atoms:
            if isinstance(atom, Symbol):
                value = values.get(atom.name)
                if value is None:
                    value = Dim({((atom, 1),): 1})
            else:
                value = _operation(
                    atom.kind, substitute(atom.left, values), substitute(atom.right, values)
                )
            for _ in range(power):
                term = term * value
        total = total + term
    return total


def is_static(shape: Sequence[DimLike]) -> bool:
    """True when no dimension is symbolic."""
    return not [dim for dim in shape if isinstance(dim, Dim)]


def format_shape(shape: Sequence[DimLike]) -> str:
    """A shape for messages: `1x3x416x416`, `Nx3x416x416`, `scalar`."""
    return "x".join(str(dim) for dim in shape) if len(shape) else "scalar"


def _atom_value(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, Symbol):
        if atom.name in sizes:
            return sizes[atom.name]
        if atom.bound is not None:
            return evaluate(atom.bound, sizes)
        raise ShapeError(f"size {atom.name!r} has no value yet; give the shape of every input")
    left, right = evaluate(atom.left, sizes), evaluate(atom.right, sizes)
    if right == 0 and atom.kind in ("floordiv", "ceildiv", "mod"):
        raise ShapeError(f"size {atom} divides by zero for {dict(sizes)}")
    return _EVALUATE[atom.kind](left, right)


def _operation(kind: str, left: DimLike, right: DimLike) -> DimLike:
    if isinstance(left, int) and isinstance(right, int):
        return _EVALUATE[kind](left, right)
    if kind in ("floordiv", "ceildiv") and right == 1:
        return left
    if kind in ("min", "max"):
        left, right = sorted((left, right), key=str)
    return Dim({((Operation(kind, left, right), 1),): 1})


def _exact_quotient(left: Dim, right: Dim) -> DimLike | None:
    """left / right where right is one product that divides every term of left."""
    if len(right.terms) != 1:
        return 1 if left == right else None
    (divisor, scale), = right.terms
    total: dict[Product, int] = {}
    for atoms, coefficient in left.terms:
        powers = dict(atoms)
        for atom, power in divisor:
            powers[atom] = powers.get(atom, 0) - power
        if coefficient % scale or any(power < 0 for power in powers.values()):
            return None
        key = _sorted_product({a: p for a, p in powers.items() if p})
        total[key] = total.get(key, 0) + coefficient // scale
    return _simplest(total)


def _terms(value: DimLike) -> Iterable[tuple[Product, int]]:
    return value.terms if isinstance(value, Dim) else (((), int(value)),)


def _merge(left: Product, right: Product) -> Product:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return _sorted_product(powers)


def _sorted_product(powers: Mapping[Atom, int]) -> Product:
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _sort_key(product: Product) -> tuple[bool, str]:
    return (not product, "*".join(f"{atom}^{power}" for atom, power in product))


def _simplest(terms: Mapping[Product, int]) -> DimLike:
    kept = {p: c for p, c in terms.items() if c}
    if not kept:
        return 0
    if list(kept) == [()]:
        return kept[()]
    return Dim(kept)
