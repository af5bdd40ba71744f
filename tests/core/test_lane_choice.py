"""How many layers run beside each other: measured once, kept in the timing cache and the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from plugrt import DeviceError, Engine, Network
from plugrt.core.builder.lanes import ROUNDS, choose_lanes
from plugrt.core.builder.profiles import concrete_shape
from plugrt.core.explanation import Note
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.core.tuning.effort import Effort
from plugrt.core.tuning.progress import ProgressMeter
from plugrt.core.tuning.timer import Timer
from plugrt.core.tuning.timing_cache import TimingCache
from plugrt.plugins import DeviceSession

Build = Callable[..., Engine]

QUICK = Effort("fast", 1, 1, 1.0)


class Session(DeviceSession):
    """A device whose inferences take so long, by lanes."""

    device = "cpu"

    def __init__(self, seconds: Mapping[int, float], fails_on: int = 0) -> None:
        self.seconds = seconds
        self.fails_on = fails_on
        self.runs: list[int] = []

    @property
    def packed_bytes(self) -> int:
        return 0

    def create_context(self, planned: Any, threads: int, **options: Any) -> Any:
        raise NotImplementedError

    def stopwatch(
        self, planned: Any, threads: int, sizes: Any, lanes: int, sample: Any
    ) -> Callable[[], float] | None:
        if lanes == self.fails_on:
            raise DeviceError("out of memory")
        if lanes not in self.seconds:
            return None

        def run() -> float:
            self.runs.append(lanes)
            return self.seconds[lanes]

        return run


@pytest.fixture
def planned(network: Network, quick_build: Build) -> PlannedNetwork:
    x = network.add_input("x", "float32", ["N", 8])
    network.mark_output(network.add_relu(x).output, "y")
    return quick_build(network).planned


def chosen(
    planned: PlannedNetwork, session: Session, cache: TimingCache | None = None,
    effort: Effort | None = QUICK, **options: Any,
) -> list[str]:  # fmt: skip
    """Choose for a fresh build; what was reported."""
    planned.lanes = None
    told: list[str] = []
    timer = Timer(cache or TimingCache(), 1, planned.network.registry, effort, **options)
    choose_lanes(
        planned, session, timer, 1, {"N": 1}, lambda shape: concrete_shape(shape, {"N": 1}),
        told.append,
    )  # fmt: skip
    return told


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 9e-5, 2: 8e-5, 3: 7e-5, 4: 7.5e-5}, 3), ({1: 9e-5, 2: 8.95e-5}, 1),
        ({1: 5e-5, 2: 6e-5}, 1),
    ],
)  # fmt: skip
def test_the_fastest_number_is_kept(
    planned: PlannedNetwork, seconds: dict[int, float], best: int
) -> None:
    """One percent is not worth more lanes. Later builds measure nothing, and choose the same."""
    cache = TimingCache()
    session = Session(seconds)
    (line,) = chosen(planned, session, cache)
    assert planned.lanes == best
    assert isinstance(line, Note)
    assert line.facts == {"lanes": best, "seconds": list(seconds.values())}
    assert sorted(session.runs) == sorted([*seconds] * ROUNDS)
    silent = Session({})
    assert chosen(planned, silent, cache) == [line]
    assert planned.lanes == best
    assert chosen(planned, silent, cache, effort=None) == [line]


def test_rules_are_left_where_nothing_is_known(planned: PlannedNetwork) -> None:
    over = ProgressMeter(limit=0.0)
    for session, options in (
        (Session({1: 9e-5, 2: 8e-5}), {"effort": None}),
        (Session({1: 9e-5, 2: 8e-5}), {"meter": over}),
        (Session({1: 9e-5}), {}),
        (Session({}), {}),
        (Session({1: 9e-5, 2: 8e-5}, fails_on=2), {}),
    ):
        cache = TimingCache()
        told = chosen(planned, session, cache, **options)
        assert ["out of memory" in line for line in told] == [True] * (session.fails_on == 2)
        assert planned.lanes is None
        assert not session.runs
        assert not cache.seconds


def test_a_plan_keeps_the_number(planned: PlannedNetwork, quick_build: Build) -> None:
    registry = planned.network.registry
    network = Network("kept", registry)
    x = network.add_input("x", "float32", [4])
    network.mark_output(network.add_relu(x).output, "y")
    engine = quick_build(network)
    without = engine.to_bytes()
    engine.planned.lanes = 3
    with Engine.from_bytes(engine.to_bytes(), registry) as loaded:
        assert loaded.planned.lanes == 3
    with Engine.from_bytes(without, registry) as loaded:
        assert loaded.planned.lanes is None
