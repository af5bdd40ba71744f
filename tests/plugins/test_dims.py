"""Symbolic sizes: arithmetic agrees with integers, equal sizes compare equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt.plugins import Dim, ShapeError, ceil_div, data_dependent, dim_max, floor_div, symbol
from plugrt.plugins.dims import evaluate, substitute, symbols

N, H = symbol("N"), symbol("H")
sizes = st.fixed_dictionaries({"N": st.integers(1, 50), "H": st.integers(1, 50)})


def dims(depth: int = 3) -> st.SearchStrategy[object]:
    """Random expressions as (Dim or int, function of sizes)."""
    leaf = st.one_of(
        st.integers(0, 9).map(lambda k: (k, lambda s, k=k: k)),
        st.just((N, lambda s: s["N"])),
        st.just((H, lambda s: s["H"])),
    )

    def combine(children: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        pair = st.tuples(children, children)
        positive = st.tuples(children, st.integers(1, 7))
        return st.one_of(
            pair.map(lambda p: (p[0][0] + p[1][0], lambda s: p[0][1](s) + p[1][1](s))),
            pair.map(lambda p: (p[0][0] - p[1][0], lambda s: p[0][1](s) - p[1][1](s))),
            pair.map(lambda p: (p[0][0] * p[1][0], lambda s: p[0][1](s) * p[1][1](s))),
            positive.map(lambda p: (floor_div(p[0][0], p[1]), lambda s: p[0][1](s) // p[1])),
            positive.map(lambda p: (ceil_div(p[0][0], p[1]), lambda s: -(-p[0][1](s) // p[1]))),
            pair.map(
                lambda p: (dim_max(p[0][0], p[1][0]), lambda s: max(p[0][1](s), p[1][1](s)))
            ),
        )

    return st.recursive(leaf, combine, max_leaves=depth * 3)


@given(dims(), sizes)
def test_arithmetic_agrees_with_integers(case: tuple, values: dict[str, int]) -> None:
    dim, expected = case
    assert evaluate(dim, values) == expected(values)


@given(dims(), sizes)
def test_substituting_all_symbols_gives_the_number(case: tuple, values: dict[str, int]) -> None:
    dim, expected = case
    assert substitute(dim, values) == expected(values)


def test_equal_sizes_written_differently_are_equal() -> None:
    assert 2 * (N + 1) == N + N + 2
    assert (4 * N + 2) // 2 == 2 * N + 1
    assert (N * H) // N == H
    assert hash(N + H) == hash(H + N)


def test_what_reduces_to_a_number_is_an_int() -> None:
    assert N - N == 0
    assert isinstance((N + 3) - N, int)


def test_a_data_dependent_size_falls_back_to_its_bound() -> None:
    count = data_dependent(10 * N, output=1)
    assert isinstance(count, Dim)
    assert evaluate(count, {"N": 3}) == 30
    (name,) = (s for s in symbols(count) if s != "N")
    assert evaluate(count, {"N": 3, name: 4}) == 4


def test_errors_name_the_size() -> None:
    with pytest.raises(ShapeError, match="'N' has no value"):
        evaluate(N, {})
    with pytest.raises(ShapeError, match="divided by zero"):
        floor_div(N, 0)
