"""Choosing tactics: times, ties, further kernels, scratch memory, and what cannot run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, PluginError, Registry, TimingCache
from plugrt.core.devices.target import Target
from plugrt.core.graph.build_descs import Storage
from plugrt.core.tuning.assignment import Assignment
from plugrt.core.tuning.effort import FAST
from plugrt.core.tuning.timer import Timer
from plugrt.plugins import (
    Combination,
    Format,
    KernelPlugin,
    Shape,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
)
from plugrt.plugins.expression import Input
from plugrt.plugins.native import pointwise

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


class Addition(LayerPlugin):
    """x + 1 in several ways; `slow` ones sleep, `broken` ones raise, `greedy` ones want memory."""

    type = "Test.Addition"
    recordable = False
    ways = attribute(tuple[str, ...], ("plain",), "names of tactics")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + 1]

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return [Tactic(name) for name in self.ways]

    def getWorkspaceSize(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> int:
        return 10_000 if "greedy" in self.tactic.name else 0

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        if "slow" in self.tactic.name:
            time.sleep(2e-3)
        if "broken" in self.tactic.name:
            raise ZeroDivisionError("of one's own")
        outputs[0][...] = inputs[0] + 1


class Fast(KernelPlugin):
    """The same by a native pass."""

    name = "test fast addition"
    layer = "Test.Addition"
    workspace: ClassVar[int] = 0
    recorded: ClassVar[int] = 0

    def getTactics(self, layer: LayerPlugin, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("native"),)

    def getWorkspaceSize(
        self, layer: LayerPlugin, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]
    ) -> int:
        return self.workspace

    def enqueue(
        self, layer: LayerPlugin, inputs: Sequence[Any], outputs: Sequence[Any], workspace: Any,
        stream: Stream,
    ) -> None:  # fmt: skip
        assert layer.tactic.name == "native"
        assert (workspace is None) == (self.workspace == 0)
        type(self).recorded += 1
        pointwise.record(stream, Input(0) + 1.0, inputs, outputs[0])


class Sparse(Addition):
    """The same for values that are mostly small; notes what it is run with."""

    type = "Test.Sparse"
    typical_floats = (-9.0, 0.5)
    means: ClassVar[set[int]] = set()

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        self.means.add(round(float(inputs[0].mean())))
        super().enqueue(inputs, outputs, workspace, stream)


def network_of(network: Network, *ways: str) -> Network:
    x = network.add_input("x", "float32", [3])
    network.mark_output(network.add_layer(Addition(ways=ways), [x], name="y").output)
    return network


def chosen(engine: Engine) -> tuple[str | None, str]:
    layer = engine.planned.network.layers[0]
    return layer.kernel, layer.plugin.tactic.name


FEEDS = {"x": np.arange(3, dtype=np.float32)}


def test_the_fastest_wins(network: Network, quick_build: Build, agree: Run) -> None:
    engine = quick_build(network_of(network, "a slow", "quick", "slow"), tune="fast")
    assert chosen(engine) == (None, "quick")
    agree(network, FEEDS, tune="fast")


def test_a_layer_is_timed_with_numbers_like_those_it_will_get(
    network: Network, quick_build: Build
) -> None:
    x = network.add_input("x", "float32", [4, 500])
    y = network.add_layer(Sparse(ways=("a", "b")), [x]).output
    network.mark_output(network.add_layer(Addition(ways=("a", "b")), [y], name="y").output)
    times = TimingCache()
    quick_build(network, tune="fast", timing_cache=times)
    assert Sparse.means == {-9}
    told = {key.split("/")[0] for key in times.seconds if key.endswith(" floats=-9.0+-0.5")}
    assert told == {"Test.Sparse"}


def test_a_kernel_of_another_author_wins(
    network: Network, registry: Registry, quick_build: Build, agree: Run
) -> None:
    registry.register(Fast)
    engine = quick_build(network_of(network, "slow"), tune="fast")
    assert chosen(engine) == ("test fast addition", "native")
    before = Fast.recorded
    agree(network, FEEDS, tune="fast")
    assert Fast.recorded > before
    # A plan finds the kernel again.
    again = Engine.from_bytes(engine.to_bytes(), Registry.of([Addition, Fast]))
    with again, again.create_context() as context:
        np.testing.assert_array_equal(context.execute(FEEDS)["y"], [1, 2, 3])


def test_a_kernel_that_is_slower_loses(
    network: Network, registry: Registry, quick_build: Build
) -> None:
    class Slow(Fast):
        name = "test slow addition"

        def enqueue(self, layer: LayerPlugin, inputs: Any, outputs: Any, workspace: Any,
                    stream: Stream) -> None:  # fmt: skip
            stream.host_callback(lambda x, y: time.sleep(2e-3), inputs, outputs)

    registry.register(Slow)
    assert chosen(quick_build(network_of(network, "quick"), tune="fast")) == (None, "quick")


@pytest.mark.parametrize("tune", ["fast", "off"])
def test_scratch_memory_is_limited(
    network: Network, registry: Registry, quick_build: Build, monkeypatch: pytest.MonkeyPatch,
    tune: str,
) -> None:
    network_of(network, "greedy", "slow")
    assert chosen(quick_build(network, tune=tune))[1] == "greedy"
    assert chosen(quick_build(network, tune=tune, max_workspace_size=9_999))[1] == "slow"
    registry.register(Fast)  # a kernel is asked itself
    monkeypatch.setattr(Fast, "workspace", 5_000)
    assert chosen(quick_build(network, tune=tune, max_workspace_size=4_999))[1] == "slow"


def test_no_way_within_the_limit(network: Network, quick_build: Build) -> None:
    with pytest.raises(PluginError, match=r"layer 'y' .* within max_workspace_size=100; allow"):
        quick_build(network_of(network, "greedy"), max_workspace_size=100)


def test_a_tactic_that_raises_is_not_used(network: Network, quick_build: Build) -> None:
    engine = quick_build(network_of(network, "a broken", "b slow"), tune="fast")
    assert chosen(engine) == (None, "b slow")
    assert any("a broken cannot run: DeviceError" in line for line in engine.report)


def test_where_everything_raises_the_rules_decide(network: Network, quick_build: Build) -> None:
    """The timer's data are random: a layer may refuse them and still be right."""
    engine = quick_build(network_of(network, "b broken", "a broken"), tune="fast")
    assert chosen(engine) == (None, "a broken")


def test_layers_are_initialised_when_they_are_timed(
    network: Network, quick_build: Build
) -> None:
    balance: list[str] = []

    class Resource(Addition):
        type = "Test.Resource"

        def configure(self, inputs: Any, outputs: Any) -> None:
            balance.append("configure")

        def initialize(self) -> None:
            balance.append("initialize")
            self.ready = True

        def terminate(self) -> None:
            balance.append("terminate")

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            assert self.ready
            super().enqueue(inputs, outputs, workspace, stream)

    x = network.add_input("x", "float32", [3])
    network.mark_output(
        network.add_layer(Resource(ways=("broken", "slow")), [x], name="y").output
    )
    engine = quick_build(network, tune="fast")
    assert chosen(engine) == (None, "slow")
    timed = ["configure", "initialize", "terminate"]
    chosen_twice = ["configure"] * 2  # the second time nothing was left to measure
    assert balance == [*timed, *timed, *chosen_twice, "initialize"]
    engine.close()
    assert balance[-1] == "terminate"


def test_absent_inputs_do_not_hinder_timing(network: Network, quick_build: Build) -> None:
    class Gap(Addition):
        type = "Test.Gap"
        input_names = ("x", "scale?", "shift?")

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
            assert inputs[1] is None
            super().enqueue([inputs[0] + inputs[2]], outputs, workspace, stream)

    x = network.add_input("x", "float32", [3])
    network.mark_output(
        network.add_layer(Gap(ways=("a slow", "quick")), [x, None, x], name="y").output
    )
    assert chosen(quick_build(network, tune="fast")) == (None, "quick")


# ---- ties --------------------------------------------------------------------------------------


class Table(Timer):
    """Times by tactic's name."""

    def __init__(self, registry: Registry, **seconds: float) -> None:
        super().__init__(TimingCache(), 2, registry, FAST)
        self.table = seconds

    def seconds(self, layer: Any, candidate: Any, best_so_far: float = 0) -> float | None:
        return self.table.get(candidate.tactic.name)


class Preferred(Addition):
    """A tactic `first` of higher priority."""

    type = "Test.Preferred"

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return [Tactic(name, priority=int(name == "first")) for name in self.ways]

    def supportsFormat(self, combination: Combination) -> bool:
        return all(d.format is Format.LINEAR for d in combination.inputs)


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ({"first": 1.02, "a": 1.0, "b": 1.01}, "first"),  # a tie: priority
        ({"first": 1.04, "a": 1.02, "b": 1.0}, "a"),  # a tie without it: the name
        ({"first": 1.04, "a": 1.04, "b": 1.0}, "b"),
        ({"first": float("inf"), "a": float("inf"), "b": 9.0}, "b"),
        ({}, "first"),
    ],
)
def test_ties_are_broken_by_priority_and_name(
    network: Network, times: dict[str, float], wanted: str
) -> None:
    x = network.add_input("x", "float32", [3])
    layer = network.add_layer(Preferred(ways=("b", "a", "first")), [x], name="y")
    network.mark_output(layer.output)
    assignment = Assignment(
        network, [Storage(Format.LINEAR)], lambda shape: shape, Target(threads=2),  # type: ignore[arg-type,return-value]
        Table(network.registry, **times),
    )  # fmt: skip
    assert assignment.solve()[layer].candidate.tactic.name == wanted
