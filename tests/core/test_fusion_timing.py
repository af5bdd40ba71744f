"""Fused or apart: where an epilogue rules a way out, the times decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, Registry
from plugrt.core.builder.network_timer import NetworkTimer
from plugrt.core.tuning.timer import Timer
from plugrt.plugins import Shape, Tactic, TacticRequest, TensorDesc

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]
Random = np.random.Generator

SECONDS = {"quick": 1e-5, "general": 9e-5, "expression": 3e-5}


class Tripling(LayerPlugin):
    """3 x; a quick way without an epilogue, a general one that takes any."""

    type = "Test.Tripling"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        general = [Tactic("general")]
        return general if request.epilogue else [Tactic("quick"), *general]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * 3]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        value = inputs[0] * 3
        outputs[0][...] = self.epilogue.apply(value, inputs[1:])


@pytest.fixture
def registry() -> Registry:
    return Registry.of([Tripling])


@pytest.fixture
def tripled(network: Network) -> Network:
    x = network.add_input("x", "float32", ["N", 40])
    y = network.add_layer(Tripling(), [x], name="three").output
    network.mark_output(network.add_exp(y, name="y").output)
    return network


def pretend(patch: pytest.MonkeyPatch, seconds: dict[str, float]) -> list[str]:
    """Tactics have these times; the names of those that were asked about."""
    asked = []

    def known(timer: Timer, layer: Any, candidate: Any, best: float = inf) -> float:
        asked.append(candidate.tactic.name)
        return seconds[candidate.tactic.name]

    patch.setattr(Timer, "seconds", known)
    return asked


@pytest.mark.parametrize(("pass_seconds", "is_fused"), [(3e-5, False), (9e-5, True)])
def test_the_faster_form_is_taken(
    tripled: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch,
    pass_seconds: float, is_fused: bool,
) -> None:  # fmt: skip
    pretend(monkeypatch, {**SECONDS, "expression": pass_seconds})
    engine = quick_build(tripled, tune="fast")
    layers = engine.planned.network.layers
    assert [layer.fused for layer in layers] == ([["y"]] if is_fused else [[], []])
    (told,) = {str(note) for layer in engine.explanation.layers for note in layer.notes}
    assert "90.0 us fused" in told
    assert f"{(1e-5 + pass_seconds) * 1e6:.1f} us apart, where quick can run" in told
    x = np.linspace(-1, 1, 40, dtype=np.float32)[None]
    with engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": x})["y"], np.exp(3 * x), rtol=1e-6)


def test_without_times_all_is_fused(tripled: Network, quick_build: Build) -> None:
    (layer,) = quick_build(tripled, tune="off").planned.network.layers
    assert layer.fused == ["y"]


@pytest.mark.parametrize("tune", ["fast", "full"])
def test_only_thorough_tuning_times_what_rules_nothing_out(
    network: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch, tune: str
) -> None:
    x = network.add_input("x", "float32", [3, 40])
    y = network.add_exp(x, name="exp").output
    network.mark_output(network.add_tanh(y, name="y").output)
    pretend(monkeypatch, SECONDS)
    engine = quick_build(network, tune=tune)
    (layer,) = engine.explanation.layers
    assert layer.fused == ("y",)
    told = [str(note) for note in layer.notes if note.kind == "fused"]
    apart = ": 30.0 us fused, 60.0 us apart" if tune == "full" else ""
    assert told == [f"y: fused into exp{apart}"]


def test_a_gate_lets_a_convolution_keep_its_fast_way(
    network: Network, rng: Random, quick_build: Build, agree: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What multiplies each channel by a number of its own (squeeze and excitation) is no epilogue
    of every kernel; where the others are slow the product is a pass of its own."""
    x = network.add_input("x", "float32", ["N", 16, 12, 12])
    gate = network.add_sigmoid(network.add_global_average_pooling(x).output).output
    weights = rng.standard_normal((16, 16, 3, 3)).astype(np.float32) / 12
    y = network.add_convolution(x, weights, padding=(1,) * 4, name="conv").output
    y = network.add_multiply(y, gate, name="gated").output
    network.mark_output(network.add_relu(y, name="y").output)

    def known(timer: Timer, layer: Any, candidate: Any, best: float = inf) -> float:
        slow = layer.plugin.type == "Convolution" and "winograd" not in candidate.tactic.name
        return 1e-3 if slow else 1e-5

    monkeypatch.setattr(Timer, "seconds", known)
    engine = quick_build(network, tune="fast")
    fused = {layer.name: layer.fused for layer in engine.planned.network.layers}
    if not engine.layers["conv"].tactic.name.startswith("winograd"):
        pytest.skip("this processor runs no Winograd convolution")
    assert (fused["conv"], fused["gated"]) == ([], ["y"])
    feeds = {"x": rng.standard_normal((2, 16, 12, 12)).astype(np.float32)}
    agree(network, feeds, 1e-4, tune="fast")


def test_a_function_behind_a_concatenation_moves_before_it(
    network: Network, rng: Random, quick_build: Build, agree: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = network.add_input("x", "float32", ["N", 8, 6, 6])
    parts = [
        network.add_convolution(
            x, rng.standard_normal((8, 8, size, size)).astype(np.float32),
            padding=(size // 2,) * 4, name=f"conv{size}",
        ).output
        for size in (1, 3)
    ]  # fmt: skip
    y = network.add_concatenation([*parts, x], name="join").output
    network.mark_output(network.add_relu(y, name="y").output)
    feeds = {"x": rng.standard_normal((2, 8, 6, 6)).astype(np.float32)}
    for faster in (False, True):
        monkeypatch.setattr(
            NetworkTimer, "seconds", lambda *parts, f=faster: (1.0, 0.5 if f else 2.0)
        )
        engine = quick_build(network, tune="fast")
        fused = {layer.name: len(layer.fused) for layer in engine.planned.network.layers}
        assert (fused["conv1"], fused["conv3"]) == ((1, 1) if faster else (0, 0))
        notes = [n for layer in engine.explanation.layers for n in layer.notes
                 if n.kind == "alternative"]  # fmt: skip
        assert {note.facts["taken"] for note in notes} == {faster}
        agree(network, feeds, 1e-4, tune="fast")


def test_a_sum_of_three_may_be_two_sums(
    network: Network, rng: Random, quick_build: Build, agree: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = network.add_input("x", "float32", ["N", 8, 6, 6])
    weights = rng.standard_normal((8, 8, 1, 1)).astype(np.float32)
    parts = [network.add_convolution(x, weights * k, name=f"c{k}").output for k in (1, 2)]
    network.mark_output(network.add_sum([*parts, x], name="y").output)
    monkeypatch.setattr(NetworkTimer, "seconds", lambda *parts: (1.0, 0.5))
    engine = quick_build(network, tune="fast")
    assert all(plugin.type != "Sum" for plugin in engine.layers.values())
    feeds = {"x": rng.standard_normal((2, 8, 6, 6)).astype(np.float32)}
    agree(network, feeds, 1e-4, tune="fast")
