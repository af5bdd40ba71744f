"""Symbolic sizes as plain values: exact, canonical, and within limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt.core.engine.dims_codec import DimDecoder, checked_shape, encode_dim, encode_symbols
from plugrt.plugins import Dim, DimLike, PlanError, ceil_div, dim_max, dim_min, floor_div, symbol

NAMES = ("N", "H", "W", "nonzero.size1")
BOUND = symbol("N") * 4 + 3


def leaf(name: str) -> Dim:
    return symbol(name, BOUND if name.endswith("size1") else None)


def combined(children: st.SearchStrategy[DimLike]) -> st.SearchStrategy[DimLike]:
    positive = st.integers(1, 9)
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a - b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(floor_div, children, positive),
        st.builds(ceil_div, children, st.sampled_from([leaf("W"), 2, 3])),
        st.builds(lambda a, b: a % b, children, positive),
        st.builds(dim_min, children, children),
        st.builds(dim_max, children, children),
    )


DIMS = st.recursive(
    st.one_of(st.integers(0, 10**6), st.sampled_from(NAMES).map(leaf)), combined, max_leaves=6
)


def decoder(*dims: DimLike) -> DimDecoder:
    found = DimDecoder()
    for declaration in through_json(encode_symbols([dims])):
        found.declare(declaration, "symbol")
    return found


def through_json(plain: Any) -> Any:
    return json.loads(json.dumps(plain))


@given(DIMS)
def test_every_size_comes_back_equal_and_in_one_form(dim: DimLike) -> None:
    if isinstance(dim, int) and dim < 0:
        return  # no shape has it
    reader = decoder(dim)
    plain = through_json(encode_dim(dim))
    try:
        found = reader.dim(plain, "size")
    except PlanError:  # beyond a limit, which the writer checks as well
        with pytest.raises(PlanError, match=r"at most|an integer from"):
            checked_shape((dim,), reader, "size")
        return
    assert found == dim
    assert type(found) is type(dim)
    assert str(found) == str(dim)
    assert encode_dim(found) == plain


def test_ordinary_sizes_are_within_the_limits() -> None:
    size = leaf("H")
    for _ in range(12):  # a deep convolutional network
        size = floor_div(floor_div(size + 1, 2) + 5, 3)
    total = size * leaf("W") * leaf("N") + leaf("nonzero.size1")
    assert decoder(total).dim(encode_dim(total), "size") == total


def test_bounds_are_declared_before_their_users() -> None:
    dim = symbol("b.size0", symbol("a.size0", symbol("N")) + 1)
    assert [name for name, _ in encode_symbols([(dim,)])] == ["N", "a.size0", "b.size0"]


def test_one_name_with_two_bounds_is_refused() -> None:
    with pytest.raises(PlanError, match="different bounds"):
        encode_symbols([(symbol("n", symbol("N")), symbol("n", symbol("M")))])


def nested(depth: int) -> Any:
    plain: Any = [[1, [["N", 1]]]]
    for _ in range(depth):
        plain = [[1, [[["max", plain, 1], 1]]]]
    return plain


def power(depth: int) -> Any:
    plain: Any = [[1, [["N", 1]]]]
    for _ in range(depth):
        plain = [[1, [[["max", plain, 1], 16]]]]
    return plain


HOSTILE: dict[str, Any] = {
    "negative": -1,
    "larger than memory": 2**60,
    "bool": True,
    "fraction": 1.5,
    "text": "N",
    "no terms": [],
    "only a number": [[3, []]],
    "zero coefficient": [[0, [["N", 1]]]],
    "huge coefficient": [[2**64, [["N", 1]]]],
    "unknown symbol": [[1, [["M", 1]]]],
    "power 0": [[1, [["N", 0]]]],
    "huge power": [[1, [["N", 10**9]]]],
    "huge degree": power(8),
    "unknown operation": [[1, [[["pow", 2, 3], 1]]]],
    "one operand": [[1, [[["max", 2], 1]]]],
    "terms in another order": [[3, []], [1, [["N", 1]]]],
    "a term twice": [[1, [["N", 1]]], [1, [["N", 1]]]],
    "too deep": nested(40),
    "far too deep": nested(300),
    "too many terms": [[1, [[["mod", [[1, [["N", 1]]]], k + 2], 1]]] for k in range(2000)],
}


@pytest.mark.parametrize("plain", HOSTILE.values(), ids=HOSTILE)
def test_hostile_sizes_are_refused(plain: Any) -> None:
    reader = decoder(leaf("N"))
    with pytest.raises(PlanError, match=r"^size"):
        reader.dim(plain, "size")


@pytest.mark.parametrize("declaration", [["N", None], ["M", -1], ["M"], [3, None], ["M", "N"]])
def test_hostile_declarations_are_refused(declaration: Any) -> None:
    reader = decoder(leaf("N"))
    with pytest.raises(PlanError, match=r"^symbol"):
        reader.declare(declaration, "symbol")
