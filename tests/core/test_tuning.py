"""How candidates are measured, how long, and what is told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, Network, PlugrtError, TimingCache, TuningProgress
from plugrt.core.devices.cpu import Weights, cache_state
from plugrt.core.runtime.standalone import prepare_layer
from plugrt.core.tuning.effort import FAST, FULL, Effort
from plugrt.core.tuning.progress import ProgressMeter

Build = Callable[..., Engine]
Random = np.random.Generator


@pytest.fixture
def residual(network: Network, rng: Random) -> Network:
    x = network.add_input("x", "float32", [1, 16, 12, 12])
    y = x
    for k in range(3):
        weights = rng.standard_normal((16, 16, 3, 3)).astype(np.float32) / 12
        y = network.add_convolution(y, weights, padding=(1,) * 4, name=f"conv{k}").output
        y = network.add_relu(y, name=f"relu{k}").output
    network.mark_output(network.add_add(x, y, name="sum").output, "y")
    return network


# ---- the state of the caches --------------------------------------------------------------------


@pytest.mark.parametrize("where", list(Weights))
@pytest.mark.parametrize("threads", [1, 2])
def test_a_layer_is_run_whatever_the_caches_hold(
    registry: Any, rng: Random, where: Weights, threads: int
) -> None:
    weights = rng.standard_normal((64, 300)).astype(np.float32)
    x = rng.standard_normal((2, 300)).astype(np.float32)
    before = weights.copy(), x.copy()
    plugin = registry.createPlugin("FullyConnected", {})
    arrays = [x, weights, np.ones(64, np.float32)]
    with prepare_layer(plugin, arrays, constants=(1, 2), threads=threads) as prepared:
        assert len(prepared.activations) == 1
        assert sum(array.nbytes for array in prepared.weights) >= weights.nbytes
        run = prepared.stopwatch(where)
        assert all(0 < run() < 10 for _ in range(3))
        np.testing.assert_allclose(prepared.results()[0], x @ weights.T + 1, rtol=1e-4, atol=1e-4)
    for array, known in zip((weights, x), before, strict=True):
        np.testing.assert_array_equal(array, known)


def test_weights_are_where_the_network_leaves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_state, "cache_bytes", {2: 1000, 3: 8000}.__getitem__)
    for touched, threads, wanted in (
        (500, 1, Weights.L2), (501, 1, Weights.L3), (1000, 2, Weights.L2), (4000, 2, Weights.L3),
        (4001, 2, Weights.MEMORY),
    ):  # fmt: skip
        assert Weights.of_network(touched, threads) is wanted


def test_cache_sizes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for index, (level, size) in enumerate(((1, "48K"), (2, "2048K"), (3, "36M"))):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    measure = cache_state.cache_bytes.__wrapped__
    monkeypatch.setattr(cache_state, "SYSTEM", tmp_path)
    assert (measure(2), measure(3)) == (2 << 20, 36 << 20)
    monkeypatch.setattr(cache_state, "SYSTEM", tmp_path / "absent")
    assert measure(2) > 0


def test_small_and_large_networks_have_times_of_their_own(
    residual: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for size in (1 << 30, 0):
        shared = TimingCache()
        monkeypatch.setattr(cache_state, "cache_bytes", lambda level, size=size: size)
        quick_build(residual, tune="fast", timing_cache=shared)
        keys = [key for key in shared.seconds if key.startswith("Convolution/")]
        found |= {key.rsplit("=", 1)[1] for key in keys}
        assert not any("weights=" in key for key in shared.seconds if key.startswith("Reformat/"))
    assert found == {"l2", "memory"}


# ---- how often ----------------------------------------------------------------------------------


def runs(*times: float) -> tuple[Callable[[], float], list[float]]:
    """A stopwatch that says these times, then the last one for ever; and what it has said."""
    said: list[float] = []
    coming: Iterator[float] = chain(times, repeat(times[-1]))

    def run() -> float:
        said.append(next(coming))
        return said[-1]

    return run, said


@pytest.mark.parametrize(
    ("times", "count"),
    [
        ((6.0,), 1),  # five times as slow
        ((4.9, 2.1), 2),
        ((9.0,), 1),
        ((1.9, 1.5, 1.41), 3),
        ((1.3,), 6),
        ((1.15,), FAST.least),  # so long that the time is over
    ],
)
def test_slow_candidates_are_given_up(times: tuple[float, ...], count: int) -> None:
    run, said = runs(*times)
    FAST.measure(run, 1.0)
    assert len(said) == count


def test_effort() -> None:
    run, said = runs(1e-6)
    assert FAST.measure(run) == 1e-6
    assert len(said) == FAST.most
    run, said = runs(1.0)
    assert FULL.measure(run, 1e-3) == 1.0  # it never gives up
    assert len(said) == FULL.least
    # The least of few; of many not the very least, which may be a slip.
    assert Effort("few", 3, 3, 0.0).measure(runs(3.0, 1.0, 2.0)[0]) == 1.0
    assert Effort("many", 16, 16, 0.0).measure(runs(*range(16, 0, -1))[0]) == 3


def test_what_seemed_fast_is_measured_twice(
    residual: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lesser time counts, so that a disturbance of one measurement does no harm."""
    calls: list[float] = []

    def measure(self: Effort, run: Any, best_so_far: float = 0.0) -> float:
        calls.append(best_so_far)
        return 1e-3 if len(calls) % 7 else 4e-4

    monkeypatch.setattr(Effort, "measure", measure)
    shared = TimingCache()
    quick_build(residual, tune="fast", timing_cache=shared)
    assert len(calls) > len(shared.seconds)
    assert set(shared.seconds.values()) == {1e-3, 4e-4}
    count = len(calls)
    quick_build(residual, tune="fast", timing_cache=shared)
    assert len(calls) == count


# ---- time and progress --------------------------------------------------------------------------


def test_progress(residual: Network, quick_build: Build) -> None:
    told: list[TuningProgress] = []
    shared = TimingCache()
    quick_build(residual, tune="fast", progress=told.append, timing_cache=shared)
    assert told[0].done == 0 < told[0].total
    assert [now.done for now in told] == sorted(now.done for now in told)
    assert all(now.done <= now.total and now.remaining >= 0 for now in told)
    assert told[-1].done == told[-1].total > len(shared.seconds)  # some were measured twice
    assert told[-1].remaining == 0
    told.clear()
    quick_build(residual, tune="fast", progress=told.append, timing_cache=shared)
    assert {(now.done, now.total) for now in told} == {(0, 0)}


def test_the_estimate_is_no_later_than_the_limit() -> None:
    told: list[TuningProgress] = []
    meter = ProgressMeter(told.append, limit=1e-9)
    meter.expect(1000)
    meter.advance()
    assert told[-1].remaining == 0
    assert meter.is_over


@pytest.mark.parametrize("tune", ["fast", "full"])
def test_without_time_rules_decide(residual: Network, quick_build: Build, tune: str) -> None:
    shared = TimingCache()
    engine = quick_build(residual, tune=tune, tune_time=0.0, timing_cache=shared)
    assert not shared.seconds
    assert any("tuning: its 0 s were over before" in line for line in engine.report)
    assert engine.to_bytes() == quick_build(residual, tune="off").to_bytes()


def test_no_negative_time(residual: Network, quick_build: Build) -> None:
    for seconds in (-1.0, float("nan")):
        with pytest.raises(PlugrtError, match=r"tune_time=.* is not possible; give seconds"):
            quick_build(residual, tune_time=seconds)


def test_measured_times_beat_guesses(residual: Network, quick_build: Build) -> None:
    """What little is known decides: a guess is no time to compare with."""
    known = TimingCache()
    tuned = quick_build(residual, tune="fast", timing_cache=known)
    names = {layer.plugin.tactic.name for layer in tuned.planned.network.layers}
    slow = TimingCache()
    for key, seconds in known.seconds.items():
        if key.startswith("Convolution/") and key.split(" ")[4] in names:
            slow.seconds[key] = seconds * 1e6  # still the only ones that were measured
    engine = quick_build(residual, tune="off", timing_cache=slow)
    for layer in engine.planned.network.layers:
        if layer.plugin.type == "Convolution":
            assert layer.plugin.tactic.name in names


# ---- thorough tuning ----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_full_tuning_runs_whole_networks(
    residual: Network, quick_build: Build, rng: Random, precision: str
) -> None:
    shared = TimingCache()
    options = {"tune": "full", "precision": precision, "timing_cache": shared}
    engine = quick_build(residual, **options)
    assert all(key.endswith(" full") for key in shared.seconds)
    known = dict(shared.seconds)
    again = quick_build(residual, **options)
    assert again.to_bytes() == engine.to_bytes()
    assert shared.seconds == known  # nothing was measured again
    quick_build(residual, **{**options, "tune": "fast"})
    timed = [key for key in shared.seconds if key not in known]
    assert not {f"{key} full" for key in timed} & set(known)  # thorough times do for all builds
    feed = rng.standard_normal((1, 16, 12, 12)).astype(np.float32)
    with engine.create_context() as context:
        found = context.execute({"x": feed})["y"]
    wanted = residual.reference([feed])[0]
    np.testing.assert_allclose(found, wanted, atol=1e-4 if precision == "fp32" else 0.1)


def test_quick_times_are_not_thorough_ones(residual: Network, quick_build: Build) -> None:
    shared = TimingCache()
    quick_build(residual, tune="fast", timing_cache=shared)
    quick = dict(shared.seconds)
    quick_build(residual, tune="full", timing_cache=shared)
    added = shared.seconds.keys() - quick.keys()
    assert added
    assert all(key.endswith(" full") for key in added)
    assert {key: shared.seconds[key] for key in quick} == quick
