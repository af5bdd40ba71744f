"""Layers beside each other: whoever shares a byte with another is ordered, and nobody else waits.

What orders layers is judged by the bytes that they touch, one by one, and by running them in
any order that is allowed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.nets import NETS
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt import BuilderConfig, Network, build
from plugrt.core.devices.cpu import CpuStream, SlotTable
from plugrt.core.memory import MemoryPlan, MemoryPlanner
from plugrt.core.memory.hazards import Access, accesses, predecessors
from plugrt.core.memory.lanes import Lanes, schedule
from plugrt.core.memory.regions import Region
from plugrt.core.runtime import arrangement
from plugrt.core.runtime.arrangement import (
    GROWTH,
    GROWTH_BYTES,
    Arrangement,
    arrange,
    costs_of,
)
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.core.runtime.recorder import Buffers, Views, body_recorder, record_layers
from plugrt.core.runtime.weight_store import PackedWeights, RecordingStore
from plugrt.plugins import DataType, Format, TensorDesc, TensorView
from plugrt.plugins.tensor import BLOCK

from .test_random_graphs import networks

BUFFER = ("arena", 0)

# ---- regions ------------------------------------------------------------------------------------


def touched(region: Region) -> set[tuple[object, int]]:
    """Every byte of a region."""
    return {(region.buffer, byte) for byte in offsets(region)}


def offsets(region: Region) -> set[int]:
    if region.desc is None:
        return set(range(region.start, region.end))
    item, sizes = region.desc.dtype.itemsize, list(region.desc.sizes)
    steps = item * np.asarray(region.desc.element_strides)
    if region.desc.format is Format.CHANNELS_BLOCKED_16:
        sizes[1] //= BLOCK
        item *= BLOCK
    first = region.start + steps @ np.indices(sizes).reshape(region.desc.rank, -1)
    return {int(byte) for start in first for byte in range(start, start + item)}


@st.composite
def parts(draw: Any) -> tuple[Region, Region]:
    """Two parts of one tensor, cut along any axes."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=3, max_size=4)))
    order = draw(st.sampled_from([Format.LINEAR, Format.CHANNELS_LAST]))
    whole = TensorView(TensorDesc(draw(st.sampled_from([DataType.FLOAT16, DataType.FLOAT32])),
                                  shape, order), 0)  # fmt: skip
    found = []
    for _ in range(2):
        view = whole
        for axis, size in enumerate(shape):
            if draw(st.booleans()):
                start = draw(st.integers(0, size - 1))
                view = view.slice(axis, start, draw(st.integers(1, size - start)))
        found.append(Region.of(BUFFER, view.offset, view.desc))
    return found[0], found[1]


@given(parts())
def test_parts_that_share_a_byte_overlap(pair: tuple[Region, Region]) -> None:
    one, other = pair
    if touched(one) & touched(other):
        assert one.overlaps(other)
        assert other.overlaps(one)
    if one.covers(other):
        assert touched(one) >= touched(other)


@given(st.data(), st.sampled_from([Format.LINEAR, Format.CHANNELS_LAST]))
def test_ranges_of_one_axis_do_not_overlap(data: Any, order: Format) -> None:
    """As those that a concatenation lets its inputs lie in."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=4, max_size=4)))
    axis = data.draw(st.integers(0, 3))
    cut = data.draw(st.integers(0, shape[axis] - 1))
    whole = TensorView(TensorDesc(DataType.FLOAT16, shape, order), 0, 640)
    sides = [whole.slice(axis, 0, cut), whole.slice(axis, cut, shape[axis] - cut)]
    one, other = (Region.of(BUFFER, side.offset, side.desc) for side in sides)
    assert not one.overlaps(other)
    assert not other.overlaps(one)
    assert one.overlaps(Region.of(BUFFER, 640, whole.desc)) == (cut > 0)


def test_windows_that_slide_reach_as_far_as_they_do() -> None:
    """Axes may have a stride in common, or one of 0."""
    windows = TensorDesc(DataType.FLOAT32, (2, 2, 2), strides=(1, 1, 0))
    behind = TensorDesc(DataType.FLOAT32, (1, 2, 2), strides=(4, 6, 6))
    one = Region.of(BUFFER, 16, windows)
    assert one.overlaps(Region.of(BUFFER, 0, behind))
    assert Region.of(BUFFER, 0, behind).overlaps(one)


def test_other_buffers_do_not_overlap() -> None:
    assert not Region(BUFFER, 0, 8).overlaps(Region(("output", 0), 0, 8))
    assert not Region(BUFFER, 0, 8).overlaps(Region(BUFFER, 8, 16))


# ---- who follows whom ---------------------------------------------------------------------------


def closure(after: Sequence[Sequence[int]]) -> Any:
    """`[a, b]`: whether a is done when b begins, by way of any of the edges."""
    count = len(after)
    reach = np.zeros((count, count), bool)
    for later, earlier in enumerate(after):
        reach[list(earlier), later] = True
    for middle in range(count):
        reach |= np.outer(reach[:, middle], reach[middle])
    return reach


def check_order(after: Sequence[Sequence[int]], layers: Sequence[Access]) -> None:
    """All that share a byte which one of them writes are ordered, as they were given."""
    reach = closure(after)
    bytes_of = [
        [set().union(*map(touched, regions)) for regions in (layer.reads, layer.writes)]
        for layer in layers
    ]
    for earlier, later in combinations(range(len(layers)), 2):
        (reads, writes), (later_reads, later_writes) = bytes_of[earlier], bytes_of[later]
        if writes & (later_reads | later_writes) or reads & later_writes:
            assert reach[earlier, later], f"layer {later} may run before layer {earlier} is done"


def check_lanes(lanes: Lanes, count: int, alone: Sequence[int] = ()) -> None:
    assert lanes.count <= count
    reach = closure(lanes.after)
    total = len(lanes.lane)
    for earlier, later in combinations(range(total), 2):
        assert not reach[later, earlier]
        if lanes.lane[earlier] == lanes.lane[later] or {earlier, later} & {*alone}:
            assert reach[earlier, later]
        assert reach[earlier, later] == bool(lanes.before[later] >> earlier & 1)
    for later, earlier in enumerate(lanes.after):  # an edge is there for what no other one does
        for one in earlier:
            assert not any(reach[one, other] for other in earlier), f"edge {one}, {later}"


REGIONS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 12)).map(
        lambda pair: Region(BUFFER, pair[0], sum(pair))
    ),
    max_size=3,
)
ACCESSES = st.lists(st.builds(Access, REGIONS, REGIONS), max_size=14)


@given(ACCESSES, st.integers(1, 5), st.data())
def test_whoever_shares_a_byte_is_ordered(layers: list[Access], count: int, data: Any) -> None:
    alone = data.draw(st.lists(st.integers(0, 13), max_size=2))
    alone = [k for k in alone if k < len(layers)]
    costs = data.draw(st.lists(st.floats(0, 9), min_size=len(layers), max_size=len(layers)))
    lanes = schedule(predecessors(layers, alone), costs, count, crossing=0.5)
    check_order(lanes.after, layers)
    check_lanes(lanes, count, alone)
    if count == 1:
        assert lanes.is_chain


def test_branches_take_lanes_and_wait_for_what_they_need() -> None:
    """x -> a -> b -> sum, x -> c -> sum; with one lane they are a line."""
    needs = [0, 0b1, 0b10, 0b1, 0b1100]
    lanes = schedule(needs, [1.0] * 5, 2)
    assert lanes.after == [(), (0,), (1,), (0,), (2, 3)]
    assert lanes.cost == 4.0
    assert schedule(needs, [1.0] * 5, 1).after == [(), (0,), (1,), (2,), (3,)]


def test_a_lane_is_not_left_for_nothing() -> None:
    """Waiting for another lane costs more than the wait that it would spare."""
    needs = [0, 0b1, 0b1]
    assert schedule(needs, [1.0, 0.1, 1.0], 2, crossing=0.5).count == 1
    assert schedule(needs, [1.0, 0.6, 1.0], 2, crossing=0.5).count == 2


# ---- networks -----------------------------------------------------------------------------------


def arranged(
    planned: PlannedNetwork, sizes: dict[str, int], count: int
) -> tuple[Arrangement, MemoryPlan]:
    """Memory for so many lanes, and that for one."""
    planner = MemoryPlanner(planned.network, sizes, planned.aliasing)
    plan = planner.plan()
    return arrange(planned, planner, plan, count), plan


def replayed(planned: PlannedNetwork, feeds: dict[str, Any], count: int, seed: int) -> list[Any]:
    """Outputs of layers run in some order that `count` lanes allow, in memory full of nonsense."""
    sizes = planned.sizes_of([array.shape for array in feeds.values()])
    found, _ = arranged(planned, sizes, count)
    slots = SlotTable()
    ends = [slots.reserve() for _ in (*feeds, *planned.network.outputs)]
    arena = np.full(found.plan.arena_size + 64, 0xFB, np.uint8)
    descs = [found.plan.of(tensor).desc for tensor in planned.network.outputs]
    outputs = [np.empty(desc.sizes, desc.dtype.numpy) for desc in descs]
    buffers = Buffers(
        (slots.reserve(), 0), [(s, 0) for s in ends[: len(feeds)]],
        [(s, 0) for s in ends[len(feeds) :]],
    )  # fmt: skip
    views = Views(planned.network, found.plan, buffers, slots, planned.digests)
    stream = CpuStream(
        slots, RecordingStore(PackedWeights(), slots), 2, body_recorder(planned.body)
    )
    after = None if found.lanes is None else found.lanes.after
    for position in any_order(len(planned.network.layers), after, random.Random(seed)):
        record_layers(stream, planned, views, sizes, position, position + 1)
    recording = stream.finish()
    for slot, array in zip(ends, [*feeds.values(), *outputs], strict=True):
        recording.bind(slot, array.ctypes.data)
    recording.bind(buffers.arena[0], arena.ctypes.data + -arena.ctypes.data % 64)
    recording.replay()
    return outputs


def any_order(
    count: int, after: Sequence[Sequence[int]] | None, dice: random.Random
) -> list[int]:
    """The layers in an order that the edges allow, the last ones as early as may be at times."""
    order: list[int] = []
    while len(order) < count:
        ready = [
            k for k in range(count) if k not in order
            and (len(order) == k if after is None else {*after[k]} <= {*order})
        ]  # fmt: skip
        order.append(ready[-1] if dice.random() < 0.5 else dice.choice(ready))
    return order


def check_network(network: Network, count: int, seed: int, **options: Any) -> None:
    with build(network, BuilderConfig(**{"tune": "off", "threads": 2, **options})) as engine:
        planned = engine.planned
        for batch in (1, 2):
            sizes = dict.fromkeys(planned.network.free_symbols, batch)
            chosen, plan = arranged(planned, sizes, count)
            limit = max(plan.arena_size * GROWTH, plan.arena_size + GROWTH_BYTES)
            assert chosen.plan.arena_size <= limit
            if chosen.lanes is not None:
                check_lanes(chosen.lanes, count)
                found = accesses(planned.network, chosen.plan, planned.aliasing)
                check_order(chosen.lanes.after, found)
            dice = np.random.default_rng(batch)
            feeds = {
                name: dice.standard_normal((size, 8, 5, 5)).astype(np.float32)
                for name, size in (("x", batch), ("one", 1))
            }
            for one, some in zip(
                replayed(planned, feeds, 1, seed), replayed(planned, feeds, count, seed),
                strict=True,
            ):  # fmt: skip
                np.testing.assert_array_equal(one, some)


@settings(max_examples=20)
@given(network=networks(), fusion=st.booleans(), count=st.integers(2, 5), seed=st.integers(0, 99))
def test_any_order_that_lanes_allow_gives_the_same(
    network: Network, fusion: bool, count: int, seed: int
) -> None:
    check_network(network, count, seed, fusion=fusion)


@pytest.mark.slow
@settings(max_examples=400)
@given(network=networks(), fusion=st.booleans(), count=st.integers(2, 5), seed=st.integers(0, 99))
def test_any_order_of_many_networks(
    network: Network, fusion: bool, count: int, seed: int
) -> None:
    check_network(network, count, seed, fusion=fusion)


@pytest.mark.parametrize(
    ("name", "most", "cost"), [("googlenet", 4, 0.6), ("squeezenet1.1", 2, 0.9), ("lenet", 1, 1)]
)
def test_real_branches_run_beside_each_other(name: str, most: int, cost: float) -> None:
    """`cost`: of the time that one lane would take, by what layers are thought to take."""
    with build(to_plugrt(NETS[name]()), BuilderConfig(tune="off", threads=2)) as engine:
        planned = engine.planned
        chosen, plan = arranged(planned, {"N": 1}, 4)
        found = accesses(planned.network, plan, planned.aliasing)
        line = schedule(predecessors(found), costs_of(planned.network, found), 1)
    assert chosen.count == most
    if chosen.lanes is not None:
        assert chosen.lanes.cost < cost * line.cost
        assert chosen.plan.arena_size <= plan.arena_size + GROWTH_BYTES
        assert sum(map(len, chosen.lanes.after)) < 1.5 * len(found)


def test_an_arena_that_would_grow_too_much_keeps_its_size(monkeypatch: Any) -> None:
    """Then only what shares nothing in it runs beside each other."""
    with build(to_plugrt(NETS["googlenet"]()), BuilderConfig(tune="off", threads=2)) as engine:
        free, plan = arranged(engine.planned, {"N": 1}, 4)
        monkeypatch.setattr(arrangement, "GROWTH", 0.0)
        monkeypatch.setattr(arrangement, "GROWTH_BYTES", -1)
        bound, _ = arranged(engine.planned, {"N": 1}, 4)
        found = accesses(engine.planned.network, plan, engine.planned.aliasing)
    assert bound.plan is plan or bound.plan.arena_size == plan.arena_size
    assert free.lanes is not None
    if bound.lanes is not None:
        assert bound.lanes.cost >= free.lanes.cost
        check_lanes(bound.lanes, 4)
        needed = predecessors(found)
        for position, mask in enumerate(needed):
            assert not mask & ~bound.lanes.before[position]
