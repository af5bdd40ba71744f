"""initialize and terminate: once each, whatever fails in between."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import BuilderConfig, Engine, LayerPlugin, Network, PluginError, Registry, build
from plugrt.plugins import Shape, TensorDesc, attribute

Build = Callable[..., Engine]


class Resource(LayerPlugin):
    """x, with a resource; fails in the method that `fails` names."""

    type = "Test.Resource"
    label = attribute(str, "", "name in the log")
    fails = attribute(str, "", "method that raises")

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def initialize(self) -> None:
        log.append(f"+{self.label}")
        if self.fails == "initialize":
            raise OSError(f"{self.label} is missing")

    def terminate(self) -> None:
        log.append(f"-{self.label}")
        if self.fails == "terminate":
            raise OSError(f"{self.label} is stuck")

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


log: list[str] = []
OFF = BuilderConfig(tune="off", threads=1)


def chain(network: Network, **failing: str) -> Network:
    """Layers a, b and c, and d inside a body."""
    log.clear()
    y = network.add_input("x", "float32", [2])
    for label in "abc":
        layer = Resource(label=label, fails=failing.get(label, ""))
        y = network.add_layer(layer, [y], name=label).output
    body = Network("body", network.registry)
    inner = body.add_input("x", "float32", [2])
    layer = Resource(label="d", fails=failing.get("d", ""))
    body.mark_output(body.add_layer(layer, [inner], name="d").output)
    other = Network("other", network.registry)
    other.mark_output(other.add_relu(other.add_input("x", "float32", [2])).output)
    flag = network.add_input("flag", "bool", [])
    y = network.add_layer("If", [flag, y], then_body=body, else_body=other).output
    network.mark_output(y, "y")
    return network


FEEDS = {"x": np.ones(2, np.float32), "flag": np.array(True)}


def test_each_once_per_engine(network: Network) -> None:
    with build(chain(network), OFF) as engine:
        assert sorted(log) == ["+a", "+b", "+c", "+d"]
        for _ in range(2):
            with engine.create_context() as context:
                context.execute(FEEDS)
        assert len(log) == 4
    assert sorted(log[4:]) == ["-a", "-b", "-c", "-d"]
    engine.close()
    assert len(log) == 8
    log.clear()
    with Engine.from_bytes(engine.to_bytes(), Registry.of(Resource)):
        assert sorted(log) == ["+a", "+b", "+c", "+d"]
    assert len(log) == 8


def test_an_engine_that_is_dropped_is_closed(network: Network) -> None:
    engine = build(chain(network), OFF)
    del engine
    gc.collect()
    assert sorted(log) == ["+a", "+b", "+c", "+d", "-a", "-b", "-c", "-d"]


@pytest.mark.parametrize("label", ["a", "c", "d"])
def test_a_failure_gives_everything_back(network: Network, label: str) -> None:
    message = rf"layer '{label}' \(Test.Resource\): initialize\(\) failed: OSError: {label} is mis"
    with pytest.raises(PluginError, match=message) as caught:
        build(chain(network, **{label: "initialize"}), OFF)
    assert isinstance(caught.value.__cause__, OSError)
    begun = [entry[1:] for entry in log if entry[0] == "+"]
    assert begun[-1] == label
    assert [entry[1:] for entry in log if entry[0] == "-"] == begun[::-1]


def test_one_that_cannot_end_hinders_no_other(network: Network) -> None:
    engine = build(chain(network, b="terminate"), OFF)
    with pytest.raises(PluginError, match=r"layer 'b' .*terminate\(\) failed: OSError: b is stuck"):
        engine.close()
    assert sorted(log[4:]) == ["-a", "-b", "-c", "-d"]
    engine.close()


def test_both_failing(network: Network) -> None:
    """The first failure is what the user must hear of."""
    with pytest.raises(PluginError, match="c is missing"):
        build(chain(network, a="terminate", c="initialize"), OFF)
    assert sorted(log) == ["+a", "+b", "+c", "-a", "-b", "-c"]
