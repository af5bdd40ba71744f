"""What a build for a GPU chooses by whole recordings, with a driver that is played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import plugrt
from plugrt import BuilderConfig, Network, Registry
from plugrt.core.devices.cuda.session import CudaSession
from plugrt.core.passes.fuse import fuse_epilogues
from plugrt.plugins import (
    Format,
    Input,
    LayerNode,
    LayerPlugin,
    Patch,
    PointwiseLayer,
    Stream,
    Tactic,
    TacticRequest,
    attribute,
)
from plugrt.plugins.expression import exp
from plugrt.plugins.native.cuda.driver_calls import call

from .fake_driver import FakeDriver


class Copied(LayerPlugin):
    """x, with another form of itself as an alternative."""

    type = "Test.Copied"
    devices = ("cuda",)
    recordable = True
    seconds = attribute(float, 1.0, "how long it takes")
    other = attribute(float, 0.0, "how long its alternative takes; none for 0")

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def alternatives(self, view: LayerNode) -> Sequence[Patch]:
        if not self.other:
            return ()
        patch = Patch()
        made = self.form(self.other)
        (result,) = patch.add_layer(made, [view.inputs[0]], f"{view.name}.other")
        patch.replace(view.outputs[0], result)
        return (patch,)

    def form(self, seconds: float) -> LayerPlugin:
        return Copied(seconds=seconds)

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        fused = bool(request.epilogue)
        if request.device != "cuda":
            return []
        return [Tactic("loops", priority=-1), *([] if fused else [Tactic("quick")])]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)


class OfTheHost(Copied):
    """The alternative has no kernels for GPUs."""

    type = "Test.OfTheHost"

    def form(self, seconds: float) -> LayerPlugin:
        return Elsewhere()


class Elsewhere(LayerPlugin):
    """x, in Python."""

    type = "Test.Elsewhere"

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


class Exponent(PointwiseLayer):
    """e to the power of x."""

    type = "Test.Exponent"
    devices = ("cuda",)

    def pointwise(self) -> Any:
        return exp(Input(0))


def network(*layers: LayerPlugin) -> Network:
    registry = Registry(Registry.default())
    for layer in (Copied, OfTheHost, Elsewhere, Exponent):
        registry.register(layer)
    made = Network("network", registry)
    x = made.add_input("x", "float32", [2, 8])
    for number, layer in enumerate(layers):
        x = made.add_layer(layer, [x], name=f"layer{number}").output
    made.mark_output(x, "y")
    return made


IN_THE_NETWORK = {"quick": 1.0, "loops": 0.5}
"""How long tactics take where other layers are, though alone they are equal."""


@pytest.fixture
def timed(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Whole recordings take what their layers say; the seconds that were asked for."""
    asked: list[float] = []

    def stopwatch(
        self: Any, planned: Any, threads: int, sizes: Mapping[str, int], lanes: int, sample: Any
    ) -> Any:
        layers = [layer.plugin for layer in planned.network.layers]
        seconds = sum(
            layer.seconds * IN_THE_NETWORK[layer.tactic.name]
            for layer in layers if isinstance(layer, Copied)
        )
        asked.append(seconds)
        return lambda: seconds

    monkeypatch.setattr(CudaSession, "stopwatch", stopwatch)
    return asked


CONFIG = BuilderConfig(device="cuda", tune="fast", threads=1)
THOROUGH = BuilderConfig(device="cuda", tune="full", threads=1)


@pytest.mark.parametrize(("other", "wanted"), [(0.5, 0.5), (2.0, 1.0)])
def test_alternatives_run_by_the_stopwatch_of_the_gpu(
    timed: list[float], other: float, wanted: float
) -> None:
    with plugrt.build(network(Copied(seconds=1.0, other=other)), THOROUGH) as engine:
        (layer,) = engine.planned.network.layers
        assert isinstance(layer.plugin, Copied)
        assert layer.plugin.seconds == wanted
    assert {1.0, other} <= set(timed)


def test_alternatives_that_the_host_would_run_are_not_tried(timed: list[float]) -> None:
    with plugrt.build(network(OfTheHost(seconds=1.0, other=0.1)), THOROUGH) as engine:
        (layer,) = engine.planned.network.layers
        assert layer.plugin.type == "Test.OfTheHost"
    assert min(timed) >= 0.5  # its own tactics, alone


def test_full_tuning_compares_whole_recordings(timed: list[float]) -> None:
    with plugrt.build(network(Copied(), Copied()), THOROUGH) as engine:
        assert [layer.plugin.tactic.name for layer in engine.planned.network.layers] == [
            "loops", "loops"
        ]
        assert any("faster in the network" in line for line in engine.report)
    assert {2.0, 1.0} <= set(timed)
    with plugrt.build(network(Copied(), Copied()), CONFIG) as engine:
        assert {layer.plugin.tactic.name for layer in engine.planned.network.layers} == {"quick"}


def test_an_epilogue_that_leaves_last_resorts_stays_apart(driver: FakeDriver) -> None:
    made = network(Copied(), Exponent())
    fuse_epilogues(made, [Format.LINEAR], tuple, CONFIG.target)
    assert [layer.plugin.type for layer in made.layers] == ["Test.Copied", "Test.Exponent"]


class OnlyLoops(Copied):
    """Nothing quick, with or without an epilogue."""

    type = "Test.OnlyLoops"

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        return [Tactic("loops", priority=-1)] if request.device == "cuda" else []


def test_where_there_is_nothing_else_anyway_it_is_fused(driver: FakeDriver) -> None:
    made = network(OnlyLoops(), Exponent())
    fuse_epilogues(made, [Format.LINEAR], tuple, CONFIG.target)
    assert [layer.plugin.type for layer in made.layers] == ["Test.OnlyLoops"]
