"""The arena: nothing overlaps that lives at one time, and little is wasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt import Engine, LayerPlugin, Network
from plugrt.core.memory import MemoryPlan, plan_memory
from plugrt.core.memory.plan import _live_maximum, _pack
from plugrt.core.memory.storage import Storage
from plugrt.plugins import Shape, TensorDesc, attribute

Build = Callable[..., Engine]

RANGES = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(1, 5000)), max_size=25
)


def check(plan: MemoryPlan) -> None:
    """No two ranges that live at one time share a byte, and all lie in the arena."""
    for first, last, size, offset in plan.lifetimes:
        assert first <= last
        assert offset % 64 == 0
        assert offset + size <= plan.arena_size
    for (a0, a1, a_size, a), (b0, b1, b_size, b) in combinations(plan.lifetimes, 2):
        if a0 <= b1 and b0 <= a1:
            assert a + a_size <= b or b + b_size <= a
    assert plan.live_maximum <= plan.arena_size


@given(RANGES)
def test_packing(ranges: list[tuple[int, int, int]]) -> None:
    storages = [Storage("arena", first, first + more, size) for first, more, size in ranges]
    offsets = _pack(storages)
    plan = MemoryPlan(
        arena_size=max((offsets[id(s)] + -(-s.size // 64) * 64 for s in storages), default=0),
        live_maximum=_live_maximum(storages, 30),
        lifetimes=[(s.first, s.last, s.size, offsets[id(s)]) for s in storages],
    )
    check(plan)


@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("name", ["yolo-fastest", "yolov3-tiny"])
def test_real_networks_waste_little(quick_build: Build, name: str, fusion: bool) -> None:
    engine = quick_build(to_plugrt(NETS[name]()), fusion=fusion)
    planned = engine.planned
    for batch in (1, 3):
        plan = plan_memory(planned.network, {"N": batch}, planned.aliasing)
        check(plan)
        assert plan.arena_size <= 1.15 * plan.live_maximum
        assert plan.arena_size < plan.sum_of_tensors / 2


class Scratch(LayerPlugin):
    """x + 1 through scratch memory of its own, which it fills."""

    type = "Test.Scratch"
    size = attribute(int, 100, "bytes per element of the batch")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def getWorkspaceSize(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> int:
        return self.size * inputs[0].sizes[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + 1]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        assert workspace.dtype == np.uint8
        assert workspace.nbytes == self.size * len(inputs[0])
        outputs[0][...] = inputs[0] + 1
        workspace[...] = 0xFF


def test_workspaces_lie_apart_from_living_tensors(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N", 10])
    kept = network.add_layer(Scratch(size=1), [x], name="kept").output
    y = kept
    for k in range(3):
        y = network.add_layer(Scratch(size=2000), [y], name=f"step{k}").output
    network.mark_output(network.add_add(y, kept, name="y").output)
    engine = quick_build(network)
    for batch in (1, 4):
        plan = plan_memory(engine.planned.network, {"N": batch}, engine.planned.aliasing)
        check(plan)
        assert sorted(size for _, size in plan.workspaces.values())[-1] == 2000 * batch
        assert plan.arena_size < 2 * 2048 * batch  # workspaces share memory with each other
        with engine.create_context() as context:
            found = context.execute({"x": np.zeros((batch, 10), np.float32)})["y"]
        np.testing.assert_array_equal(found, np.full((batch, 10), 5, np.float32))


def test_size_zero_takes_nothing(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", ["N", 4])
    network.mark_output(network.add_layer(Scratch(), [x], name="y").output)
    engine = quick_build(network)
    plan = plan_memory(engine.planned.network, {"N": 0}, engine.planned.aliasing)
    assert plan.arena_size == 0


def test_inputs_that_nobody_reads(network: Network, quick_build: Build) -> None:
    network.add_input("unused", "float32", [4])
    x = network.add_input("x", "float32", [4])
    network.mark_output(x, "y")
    with quick_build(network).create_context() as context:
        feeds = {"unused": np.zeros(4, np.float32), "x": np.ones(4, np.float32)}
        np.testing.assert_array_equal(context.execute(feeds)["y"], feeds["x"])
