"""Alternatives that layers propose: measured beside what they would replace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, Registry, TimingCache
from plugrt.core.builder.network_timer import NetworkTimer
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
    [(3, 0, "fast", 0), (0, 3, "fast", 0), (3, 0, "off", 3), (3, -1, "fast", 3)],
)
def test_the_faster_form_stays(
    network: Network, quick_build: Build, milliseconds: int, other: int, tune: str, wanted: int
) -> None:
    engine = quick_build(doubled(network, milliseconds, other), tune=tune)
    assert duration(engine) == wanted
    x = np.float32([[1, 2, 3]])
    with engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": x})["e"], np.exp(2 * x), rtol=1e-6)
    assert any("would take" in line for line in engine.report) == (tune == "fast" and other >= 0)


def test_a_timing_cache_decides_alike(network: Network, quick_build: Build) -> None:
    doubled(network, 2, 0)
    cache = TimingCache()
    first = quick_build(network, tune="fast", timing_cache=cache).to_bytes()
    assert any(key.startswith("network ") for key in cache.seconds)
    assert quick_build(network, tune="fast", timing_cache=cache).to_bytes() == first


@pytest.mark.parametrize("followed", [True, False])
def test_convolutions_of_one_input_are_joined(
    network: Network, rng: Random, agree: Run, quick_build: Build,
    monkeypatch: pytest.MonkeyPatch, followed: bool,
) -> None:  # fmt: skip
    """Whatever the times, the joined form computes the same."""
    monkeypatch.setattr(
        NetworkTimer, "seconds", lambda self, part: {"present": 2.0, "proposed": 1.0}[part.name]
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
