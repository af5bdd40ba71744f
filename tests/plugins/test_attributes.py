"""Attributes: checked, documented, and lossless in a state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt.plugins import (
    DataType,
    LayerAttributeError,
    LayerPlugin,
    PlanError,
    attribute,
    decode_attributes,
    encode_attributes,
)


class Example(LayerPlugin):
    type = "Test.Example"
    count = attribute(int, doc="how many", allowed=lambda v: v > 0, rule="a number above 0")
    factor = attribute(float, 1.0)
    mode = attribute(str, "nearest", allowed=("nearest", "linear"))
    sizes = attribute(tuple[int, ...], ())
    flag = attribute(bool, False)
    dtype = attribute(DataType, DataType.FLOAT32)
    table = attribute(np.ndarray, np.zeros(2, np.float32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "'count' .int. is missing"),
        ({"count": 0}, "count=0 is not allowed; use a number above 0"),
        ({"count": 1.5}, "count=1.5 is not int"),
        ({"count": "3"}, "count='3' is not int"),
        ({"count": 1, "mode": "cubic"}, "mode='cubic' is not allowed; use 'nearest', 'linear'"),
        ({"count": 1, "colour": 2}, "unknown attribute 'colour'; it has: count, factor"),
        ({"count": 1, "sizes": "12"}, "sizes='12' is not tuple.int, ...."),
        ({"count": 1, "flag": 1}, "flag=1 is not bool"),
    ],
)
def test_errors_say_what_is_allowed(given: dict, message: str) -> None:
    with pytest.raises(LayerAttributeError, match=f"Test.Example: (attribute )?{message}"):
        Example(**given)


def test_values_are_brought_to_the_declared_type() -> None:
    layer = Example(count=np.int64(3), factor=2, sizes=[1, 2], dtype="int8")
    assert (layer.count, layer.factor, layer.sizes) == (3, 2.0, (1, 2))
    assert layer.dtype is DataType.INT8
    assert isinstance(layer.factor, float)


@given(
    st.fixed_dictionaries({
        "count": st.integers(1, 2**40),
        "factor": st.floats(allow_nan=False),
        "mode": st.sampled_from(["nearest", "linear"]),
        "sizes": st.lists(st.integers(-5, 5)).map(tuple),
        "flag": st.booleans(),
        "dtype": st.sampled_from(DataType),
    })
)  # fmt: skip
def test_a_layer_survives_its_state(values: dict) -> None:
    layer = Example(**values, table=np.arange(6, dtype=np.int16).reshape(2, 3))
    state = layer.serialize()
    assert layer.getSerializationSize() == len(state)
    again = Example.deserialize(state, Example.state_version)
    assert {k: v for k, v in again.attribute_values.items() if k != "table"} == values
    np.testing.assert_array_equal(again.table, layer.table)


@given(st.binary(max_size=200))
def test_damaged_states_are_plan_errors(state: bytes) -> None:
    try:
        decode_attributes(state)
    except PlanError:
        return
    assert len(state) >= 6  # a valid state holds at least an empty object


def test_every_truncation_of_a_state_is_a_plan_error() -> None:
    state = encode_attributes({"table": np.arange(3.0), "name": "x"})
    for length in range(len(state)):
        with pytest.raises(PlanError):
            decode_attributes(state[:length])


def test_newer_and_unknown_state_versions_are_refused() -> None:
    state = Example(count=1).serialize()
    with pytest.raises(PlanError, match="newer than the installed 1"):
        Example.deserialize(state, 2)
    with pytest.raises(PlanError, match="cannot read state version 0"):
        Example.deserialize(state, 0)


def test_an_older_state_is_migrated() -> None:
    class Renamed(LayerPlugin):
        type = "Test.Renamed"
        state_version = 2
        amount = attribute(int, 0)

        @classmethod
        def migrate(cls, values: dict, version: int) -> dict:
            return {"amount": values["count"]}

    old = encode_attributes({"count": 7})
    assert Renamed.deserialize(old, 1).amount == 7
