"""Shared memory: which offers are taken, and which would be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DataType, Engine, LayerPlugin, Network
from plugrt.core.memory import Aliasing, MemoryPlan, plan_memory
from plugrt.plugins import (
    Alias,
    Format,
    PointwiseLayer,
    Shape,
    SliceOf,
    Tactic,
    TacticRequest,
    TensorDesc,
    ViewOf,
    attribute,
)
from plugrt.plugins.expression import Expression, Input

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


def decided(engine: Engine) -> dict[str, Aliasing]:
    """What each layer shares."""
    planned = engine.planned
    return {layer.name: planned.aliasing[layer] for layer in planned.network.layers}


def planned_at(engine: Engine, **sizes: int) -> MemoryPlan:
    return plan_memory(engine.planned.network, sizes, engine.planned.aliasing)


def place(engine: Engine, name: str, **sizes: int) -> tuple[str, int]:
    """(arena, input or output; byte offset) of a tensor."""
    found = planned_at(engine, **sizes).of(engine.planned.network.tensors[name])
    return found.where, found.offset


class Plain(LayerPlugin):
    """2 x in Python, without any offer or epilogue."""

    type = "Test.Plain"
    label = attribute(str, "", "keeps layers apart that would be merged otherwise")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * 2]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0] * 2


def plain(net: Network, x: Any, name: str) -> Any:
    return net.add_layer(Plain(label=name), [x], name=name).output


# ---- views ------------------------------------------------------------------------------------


def test_reshapes_are_views(network: Network, quick_build: Build, agree: Run) -> None:
    x = network.add_input("x", "float32", ["N", 6])
    y = network.add_reshape(plain(network, x, "a"), shape=(0, 2, 3), name="view").output
    network.mark_output(plain(network, y, "y"))
    engine = quick_build(network)
    assert decided(engine)["view"].views == {0}
    assert place(engine, "view", N=5) == place(engine, "a", N=5)
    agree(network, {"x": np.ones((5, 6), np.float32)})


def test_a_view_of_the_users_array_copies_nothing(
    network: Network, quick_build: Build, agree: Run
) -> None:
    x = network.add_input("x", "float32", [4, 6])
    y = network.add_slice(x, starts=(1,), ends=(3,), name="rows").output
    network.mark_output(plain(network, y, "y"))
    engine = quick_build(network)
    assert place(engine, "rows") == ("input", 6 * 4)
    desc = planned_at(engine).of(engine.planned.network.tensors["rows"]).desc
    assert desc.alignment == 4  # the user's array begins anywhere
    agree(network, {"x": np.arange(24, dtype=np.float32).reshape(4, 6)})


def test_an_output_is_no_view(network: Network, quick_build: Build, agree: Run) -> None:
    x = network.add_input("x", "float32", [6])
    y = network.add_reshape(plain(network, x, "a"), shape=(2, 3), name="y").output
    network.mark_output(y)
    engine = quick_build(network)
    assert decided(engine)["y"].views == frozenset()
    assert place(engine, "y") == ("output", 0)
    agree(network, {"x": np.ones(6, np.float32)})


# ---- slices of a concatenation ------------------------------------------------------------------


def test_dense_slices_are_written_in_place(
    network: Network, quick_build: Build, agree: Run
) -> None:
    x = network.add_input("x", "float32", [2, 3])
    parts = [plain(network, x, name) for name in "abc"]
    y = network.add_concatenation(parts, axis=0, name="all").output
    network.mark_output(plain(network, y, "y"))
    engine = quick_build(network)
    assert decided(engine)["all"].slices == {0, 1, 2}
    start = place(engine, "all")[1]
    assert [place(engine, name) for name in "abc"] == [("arena", start + 24 * k) for k in range(3)]
    with engine.create_context() as context:
        context.execute({"x": np.ones((2, 3), np.float32)})
        assert context.recording({"x": (2, 3)}).commands == 4  # nothing is left to copy
    agree(network, {"x": np.ones((2, 3), np.float32)})


def test_slices_with_gaps_need_a_layer_that_writes_them(
    network: Network, quick_build: Build, agree: Run
) -> None:
    x = network.add_input("x", "float32", [2, 3])
    parts = [plain(network, x, "plain"), network.add_exp(x, name="exp").output]
    y = network.add_concatenation(parts, axis=1, name="all").output
    network.mark_output(plain(network, y, "y"))
    engine = quick_build(network)
    assert decided(engine)["all"].slices == {1}
    agree(network, {"x": np.ones((2, 3), np.float32)})


def test_a_tensor_has_one_home(network: Network, quick_build: Build, agree: Run) -> None:
    x = network.add_input("x", "float32", [2, 3])
    a, b = plain(network, x, "a"), plain(network, x, "b")
    network.mark_output(a, "shown")
    for name, pair in {"twice": [b, b], "first": [a, b], "second": [b, a]}.items():
        joined = network.add_concatenation(pair, axis=0, name=name).output
        network.mark_output(plain(network, joined, f"y {name}"))
    homes = [name for name, shared in decided(quick_build(network)).items() if shared.slices]
    assert homes in (["first"], ["second"])  # b once, and an output never
    agree(network, {"x": np.ones((2, 3), np.float32)})


def test_nested_concatenations(network: Network, quick_build: Build, agree: Run) -> None:
    x = network.add_input("x", "float32", [2, 3])
    inner = network.add_concatenation([plain(network, x, "a"), plain(network, x, "b")], axis=0,
                                      name="inner").output  # fmt: skip
    network.mark_output(network.add_concatenation([plain(network, x, "c"), inner], axis=0,
                                                  name="y").output)  # fmt: skip
    network.mark_output(plain(network, inner, "reader"))  # else the two would be one
    engine = quick_build(network)
    assert [place(engine, name) for name in ("c", "inner", "a", "b")] == [
        ("output", 0), ("output", 24), ("output", 24), ("output", 48),
    ]  # fmt: skip
    agree(network, {"x": np.ones((2, 3), np.float32)})


def test_what_is_dense_for_one_batch_only(network: Network, quick_build: Build, agree: Run) -> None:
    """A slice of channels has no gaps in a batch of 1, which is what the build looks at."""
    x = network.add_input("x", "float32", ["N", 3])
    parts = [plain(network, x, "a"), plain(network, x, "b")]
    joined = network.add_concatenation(parts, axis=1, name="all").output
    network.mark_output(plain(network, joined, "y"))
    engine = quick_build(network)
    assert decided(engine)["all"].slices == {0, 1}
    assert place(engine, "b", N=1) == ("arena", place(engine, "a", N=1)[1] + 12)
    desc = planned_at(engine, N=4).of(engine.planned.network.tensors["b"]).desc
    assert desc.is_dense
    for batch in (1, 4):
        agree(network, {"x": np.ones((batch, 3), np.float32)})


# ---- in place -----------------------------------------------------------------------------------


class Blend(PointwiseLayer):
    """a - b / 2, in place where it may."""

    type = "Test.Blend"
    input_names = ("a", "b")

    def pointwise(self) -> Expression:
        return Input(0) - Input(1) * 0.5


def test_a_dying_input_gives_its_buffer(network: Network, quick_build: Build, agree: Run) -> None:
    x = network.add_input("x", "float32", [100])
    y = network.add_layer(Blend(), [plain(network, x, "a"), x], name="y").output
    network.mark_output(plain(network, y, "z"))
    engine = quick_build(network)
    assert decided(engine)["y"].in_place == 0
    assert place(engine, "y") == place(engine, "a")
    agree(network, {"x": np.ones(100, np.float32)})


@pytest.mark.parametrize("reason", ["read later", "input", "twice", "output"])
def test_what_must_survive_is_not_overwritten(
    network: Network, quick_build: Build, agree: Run, reason: str
) -> None:
    x = network.add_input("x", "float32", [100])
    a = x if reason == "input" else plain(network, x, "a")
    y = network.add_layer(Blend(), [a, a if reason == "twice" else x], name="y").output
    network.mark_output(plain(network, y, "z"))
    if reason == "read later":
        network.mark_output(plain(network, a, "again"))
    if reason == "output":
        network.mark_output(a)
    assert decided(quick_build(network))["y"].in_place is None
    agree(network, {"x": np.ones(100, np.float32)})


@pytest.mark.parametrize("swapped", [False, True])
def test_overlapping_views_are_not_overwritten(
    network: Network, quick_build: Build, agree: Run, swapped: bool
) -> None:
    """Two views of one buffer, shifted against each other: writing one destroys the other."""
    size, shift = 100_000, 10
    x = network.add_input("x", "float32", [size + shift])
    whole = plain(network, x, "whole")
    pair = [
        network.add_slice(whole, starts=(start,), ends=(start + size,), name=name).output
        for name, start in (("low", 0), ("high", shift))
    ]
    y = network.add_layer(Blend(), pair[::-1] if swapped else pair, name="y").output
    network.mark_output(plain(network, y, "z"))
    engine = quick_build(network)
    found = decided(engine)
    assert found["low"].views == found["high"].views == {0}
    assert found["y"].in_place is None
    agree(network, {"x": np.arange(size + shift, dtype=np.float32)})


def test_separate_views_may_be_overwritten(
    network: Network, quick_build: Build, agree: Run
) -> None:
    x = network.add_input("x", "float32", [8])
    whole = plain(network, x, "whole")
    pair = [
        network.add_slice(whole, starts=(4 * k,), ends=(4 * k + 4,), name=f"half{k}").output
        for k in range(2)
    ]
    network.mark_output(plain(network, network.add_layer(Blend(), pair, name="y").output, "z"))
    engine = quick_build(network)
    assert decided(engine)["y"].in_place == 0
    agree(network, {"x": np.arange(8, dtype=np.float32)})


# ---- offers that do not fit -------------------------------------------------------------------


class Offering(Plain):
    """Offers what is not there to be shared."""

    type = "Test.Offering"

    def getOutputDataType(self, index: int, inputTypes: Sequence[DataType]) -> DataType:
        return DataType.FLOAT64

    def supportsFormat(self, combination: Any) -> bool:
        return all(d.format is Format.LINEAR for d in (*combination.inputs, *combination.outputs))

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("all", may_alias=frozenset({0})),)

    def aliases(
        self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> Sequence[Alias]:
        return (SliceOf(0, 0, 0, 0),)


def test_types_must_agree(network: Network, quick_build: Build, run: Run) -> None:
    x = network.add_input("x", "float32", [4])
    network.mark_output(network.add_layer(Offering(), [plain(network, x, "a")], name="y").output)
    found = decided(quick_build(network))["y"]
    assert (found.slices, found.in_place) == (frozenset(), None)
    np.testing.assert_array_equal(run(network, {"x": np.ones(4, np.float32)})["y"], [4.0] * 4)


def test_constants_are_no_views(network: Network, quick_build: Build, agree: Run) -> None:
    class Window(Plain):
        """A view that no reference folds."""

        type = "Test.Window"
        recordable = False

        def reference(self, inputs: Sequence[Any]) -> list[Any]:
            return LayerPlugin.reference(self, inputs)

        def aliases(
            self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
        ) -> Sequence[Alias]:
            return (ViewOf(0, 0),)

    window = network.add_layer(Window(), [np.ones(3, np.float32)], name="window").output
    network.mark_output(plain(network, window, "y"))
    engine = quick_build(network)
    assert decided(engine)["window"].views == frozenset()
    with engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({})["y"], [4, 4, 4])
