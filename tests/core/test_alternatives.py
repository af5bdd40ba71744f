"""Alternatives that layers propose: measured beside what they would replace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, Registry, TimingCache
from plugrt.core.builder.network_timer import NetworkTimer, interval
from plugrt.plugins import LayerNode, Patch, Shape, TensorDesc, attribute

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]
Random = np.random.Generator


class Doubling(LayerPlugin):
    """2 x after some milliseconds, with one of another duration as an alternative."""

    type = "Test.Doubling"
    milliseconds = attribute(int, 0, "how long it takes")
    other = attribute(int, -1, "how long its alternative takes; none below 0")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        if self.other < 0:
            return ()
        patch = Patch()
        (result,) = patch.add_layer(
            Doubling(milliseconds=self.other), [view.inputs[0]], f"{view.name}.other"
        )
        patch.replace(view.outputs[0], result)
        return (patch,)

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * 2]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        time.sleep(self.milliseconds * 1e-3)
        outputs[0][...] = inputs[0] * 2


@pytest.fixture
def registry() -> Registry:
    return Registry.of([Doubling])


def doubled(network: Network, milliseconds: int, other: int) -> Network:
    x = network.add_input("x", "float32", ["N", 3])
    y = network.add_layer(Doubling(milliseconds=milliseconds, other=other), [x], name="d").output
    network.mark_output(network.add_exp(y, name="e").output)
    return network


def duration(engine: Engine) -> int:
    (found,) = (p for p in engine.layers.values() if isinstance(p, Doubling))
    return found.milliseconds


@pytest.mark.parametrize(
    ("milliseconds", "other", "tune", "wanted"),
    [(10, 0, "fast", 0), (0, 10, "fast", 0), (10, 0, "off", 10), (10, -1, "fast", 10)],
)
def test_the_faster_form_stays(
    network: Network, quick_build: Build, milliseconds: int, other: int, tune: str, wanted: int
) -> None:
    engine = quick_build(doubled(network, milliseconds, other), tune=tune)
    assert duration(engine) == wanted
    x = np.float32([[1, 2, 3]])
    with engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": x})["e"], np.exp(2 * x), rtol=1e-6)
    assert any(" in place of " in line for line in engine.report) == (tune == "fast" and other >= 0)


def test_a_timing_cache_decides_alike(network: Network, quick_build: Build) -> None:
    doubled(network, 10, 0)
    cache = TimingCache()
    first = quick_build(network, tune="fast", timing_cache=cache).to_bytes()
    assert any(key.startswith("network ") for key in cache.seconds)
    assert quick_build(network, tune="fast", timing_cache=cache).to_bytes() == first


def network_times(cache: TimingCache) -> int:
    return sum(key.startswith("network ") for key in cache.seconds)


@pytest.mark.parametrize("tune", ["fast", pytest.param("full", marks=pytest.mark.slow)])
def test_times_of_networks_alone_are_kept_in_the_file(
    network: Network, quick_build: Build, tmp_path: Path, tune: str
) -> None:
    """Every tactic is known already, so the networks' times are all that is new."""
    doubled(network, 10, 0)
    whole, file = TimingCache(), tmp_path / "times.json"
    first = quick_build(network, tune=tune, timing_cache=whole).to_bytes()
    assert network_times(whole) >= 2
    parts = TimingCache()
    parts.seconds = {k: s for k, s in whole.seconds.items() if not k.startswith("network ")}
    parts.save(file)
    assert quick_build(network, tune=tune, timing_cache=file).to_bytes() == first
    saved = TimingCache.load(file)
    assert saved.seconds.keys() == whole.seconds.keys()
    assert quick_build(network, tune="off", timing_cache=file).to_bytes() == first


def test_the_time_limit_counts_for_alternatives(network: Network, quick_build: Build) -> None:
    cache = TimingCache()
    engine = quick_build(
        doubled(network, 3, 0), tune="fast", tune_time=0.0, timing_cache=cache
    )
    assert network_times(cache) == 0
    assert duration(engine) == 3
    assert engine.explanation.tuning["skipped"] >= 2


def test_in_doubt_what_is_there_stays(network: Network, quick_build: Build) -> None:
    """Two forms that are equally fast, however the machine disturbs them."""
    assert duration(quick_build(doubled(network, 1, 1), tune="fast")) == 1
    assert [name for name in quick_build(network, tune="fast").layers if "other" in name] == []


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        ([1.0], (1.0, 1.0)),
        ([3.0, 1.0, 2.0], (1.0, 3.0)),
        ([1.0] * 7 + [9.0, 9.0], (1.0, 1.0)),  # who was disturbed does not count
        ([float(k) for k in range(100)], (14.0, 35.0)),
    ],
)
def test_interval_of_the_lower_quartile(samples: list[float], wanted: tuple[float, float]) -> None:
    assert interval(samples) == wanted


@pytest.mark.parametrize("followed", [True, False])
def test_convolutions_of_one_input_are_joined(
    network: Network, rng: Random, agree: Run, quick_build: Build,
    monkeypatch: pytest.MonkeyPatch, followed: bool,
) -> None:  # fmt: skip
    """Whatever the times, the joined form computes the same."""
    monkeypatch.setattr(
        NetworkTimer, "seconds", lambda self, present, proposed: (2.0, 1.0)
    )
    x = network.add_input("x", "float32", ["N", 8, 6, 5])
    branches = []
    for index, filters in enumerate((4, 16, 8)):
        weights = rng.standard_normal((filters, 8, 1, 1)).astype(np.float32)
        y = network.add_convolution(
            x, weights, rng.standard_normal(filters).astype(np.float32), name=f"c{index}"
        ).output
        branches.append(network.add_relu(y, name=f"r{index}").output if followed else y)
    branches[1] = network.add_convolution(
        branches[1], rng.standard_normal((8, 16, 3, 3)).astype(np.float32),
        padding=(1, 1, 1, 1), name="next",
    ).output  # fmt: skip
    network.mark_output(network.add_concatenation(*branches, axis=1, name="joined").output)
    network.mark_output(branches[2], "alone")
    engine = quick_build(network, tune="fast")
    joined = [p for p in engine.layers.values() if p.type == "Convolution"]
    assert len(joined) == 2
    agree(network, {"x": rng.standard_normal((3, 8, 6, 5)).astype(np.float32)}, 1e-4, tune="fast")
