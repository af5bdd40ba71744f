"""The benchmarks' rounds: who takes part, for how long, and what is kept of it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def rounds() -> Iterator[ModuleType]:
    """The module benchmarks.rounds of this checkout."""
    yield from _module("benchmarks.rounds")


@pytest.fixture(scope="module")
def results_file() -> Iterator[ModuleType]:
    """The module benchmarks.results_file of this checkout."""
    yield from _module("benchmarks.results_file")


def _module(name: str) -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT))


class Clock:
    """Time that passes only when somebody runs or sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeRunner:
    """Calls take `seconds`, times a noise of this relative size."""

    def __init__(self, clock: Clock, kind: str, seconds: float, noise: float = 0.0) -> None:
        self.kind = kind
        self.calls = 0
        self._clock, self._seconds, self._noise = clock, seconds, noise
        self._random = np.random.default_rng(sum(map(ord, kind)))

    def run(self, calls: int) -> list[float]:
        times = self._seconds * (1 + self._noise * self._random.standard_normal(calls))
        self._clock.now += float(times.sum())
        self.calls += calls
        return [float(time) for time in times]


def test_steady_contestants_are_told_apart_in_the_fewest_rounds(rounds: ModuleType) -> None:
    clock = Clock()
    ours, best, slow = (
        FakeRunner(clock, kind, seconds)
        for kind, seconds in (("ours", 0.01), ("best", 0.012), ("slow", 0.05))
    )
    effort = rounds.Effort()
    turns = rounds.alternate(ours, [slow, best], effort, clock, clock.sleep)
    assert {kind: len(times) for kind, times in turns.items()} == {
        "ours": effort.least_rounds, "best": effort.least_rounds, "slow": effort.scout_rounds,
    }  # fmt: skip
    ratios = rounds.peer_by_ours(turns, "ours")
    assert ratios["best"].value == pytest.approx(1.2)
    assert ratios["slow"].value == pytest.approx(5.0)


def test_close_peers_stay_and_noise_takes_all_the_time(rounds: ModuleType) -> None:
    clock = Clock()
    ours, one, other = (
        FakeRunner(clock, kind, seconds, noise=0.3)
        for kind, seconds in (("ours", 0.01), ("one", 0.0105), ("other", 0.0102))
    )
    turns = rounds.alternate(ours, [one, other], rounds.Effort(seconds=10), clock, clock.sleep)
    counts = {len(times) for times in turns.values()}
    assert len(counts) == 1
    assert 10 <= clock.now < 11
    assert counts.pop() > rounds.Effort.least_rounds


def test_slow_calls_are_made_no_more_often_than_needed(rounds: ModuleType) -> None:
    clock = Clock()
    ours, peer = FakeRunner(clock, "ours", 3.0), FakeRunner(clock, "peer", 4.0)
    effort = rounds.Effort()
    rounds.alternate(ours, [peer], effort, clock, clock.sleep)
    assert ours.calls == effort.least_rounds + 1  # one tells how long a turn lasts


MACHINE = {"processor": "Abacus 9", "versions": {"plugrt": "0.1.0"}}


def _row(cells: ModuleType, net: str, value: float) -> dict[str, Any]:
    return {**cells.Cell(net, 1, 2, "fp32", ()).as_dict(), "value": value}


def test_results_are_kept_cell_by_cell_in_order(results_file: ModuleType, tmp_path: Path) -> None:
    cells = importlib.import_module("benchmarks.cells")
    first, second = (cells.Cell(net, 1, 2, "fp32", ()) for net in ("first", "second"))
    path = tmp_path / "results.json"
    results = results_file.ResultsFile(path, MACHINE, [first, second])
    results.put(_row(cells, "second", 2.0))
    results.put(_row(cells, "first", 1.0))

    resumed = results_file.ResultsFile(path, MACHINE, [first, second])
    assert first in resumed
    resumed.put(_row(cells, "second", 3.0))
    found = json.loads(path.read_text())
    assert found["machine"] == MACHINE
    assert [(row["net"], row["value"]) for row in found["cells"]] == [("first", 1), ("second", 3)]


def test_results_of_another_machine_are_not_resumed(
    results_file: ModuleType, tmp_path: Path
) -> None:
    cells = importlib.import_module("benchmarks.cells")
    cell = cells.Cell("first", 1, 2, "fp32", ())
    path = tmp_path / "results.json"
    results_file.ResultsFile(path, MACHINE, [cell]).put(_row(cells, "first", 1.0))
    other = {**MACHINE, "versions": {"plugrt": "0.2.0"}}
    assert cell not in results_file.ResultsFile(path, other, [cell])
    assert cell not in results_file.ResultsFile(path, MACHINE, [cell], anew=True)
