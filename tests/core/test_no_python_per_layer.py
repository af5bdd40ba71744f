"""A replay costs the interpreter the same for one layer and for two hundred."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plugrt import Engine, ExecutionContext, LayerPlugin, Network, Registry
from plugrt.plugins import PointwiseLayer, Shape, TensorDesc
from plugrt.plugins.expression import Expression, Input

Build = Callable[..., Engine]


class Kernel(PointwiseLayer):
    """x + 1, recorded."""

    type = "Test.Kernel"

    def pointwise(self) -> Expression:
        return Input(0) + 1.0


class Callback(LayerPlugin):
    """x + 1 in Python."""

    type = "Test.Callback"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        np.add(inputs[0], 1, out=outputs[0])


def chain(registry: Registry, layer: Callable[[], LayerPlugin], count: int) -> Network:
    network = Network(f"chain of {count}", registry)
    y = network.add_input("x", "float32", ["N", 8])
    for k in range(count):
        y = network.add_layer(layer(), [y], name=f"layer{k}").output
    network.mark_output(y, "y")
    return network


def interpreter_calls(context: ExecutionContext, feeds: Any, outputs: Any) -> tuple[int, int]:
    """Python functions and C functions that the interpreter calls during one inference."""
    counts = {"call": 0, "c_call": 0}

    def count(frame: Any, event: str, argument: Any) -> None:
        if event in counts:
            counts[event] += 1

    before = sys.getprofile()
    gc.collect()  # else the finalizers of something else may be counted
    gc.disable()
    sys.setprofile(count)
    try:
        context.execute(feeds, outputs)
    finally:
        sys.setprofile(before)
        gc.enable()
    return counts["call"], counts["c_call"]


def calls(engine: Engine, layers: int) -> tuple[int, int]:
    """Calls of an inference whose shape has been seen before, arrays given or not."""
    feeds = {"x": np.zeros((2, 8), np.float32)}
    outputs = {"y": np.empty((2, 8), np.float32)}
    with engine.create_context() as context:
        context.execute(feeds, outputs)
        found = interpreter_calls(context, feeds, outputs)
        assert interpreter_calls(context, feeds, outputs) == found
        assert context.recording({"x": (2, 8)}).commands == layers
    np.testing.assert_array_equal(outputs["y"], np.full((2, 8), layers))
    return found


def test_recorded_layers_cost_no_python(registry: Registry, quick_build: Build) -> None:
    found = {
        count: calls(quick_build(chain(registry, Kernel, count), fusion=False), count)
        for count in (1, 50, 200)
    }
    assert found[1] == found[50] == found[200]
    assert sum(found[1]) < 100


def test_python_layers_do(registry: Registry, quick_build: Build) -> None:
    """The same measurement sees Python layers, so it would see hidden ones."""
    few, many = (
        calls(quick_build(chain(registry, Callback, count), fusion=False), count)
        for count in (1, 50)
    )
    assert many[0] >= few[0] + 49


def test_layers_behind_a_known_size_cost_no_python(
    registry: Registry, quick_build: Build
) -> None:
    """What waits for a size is recorded for it, and replayed when it comes again."""
    found = {}
    for count in (1, 60):
        network = chain(registry, Kernel, count)
        positions = network.add_layer("NonZero", [network.outputs[0]], name="found").outputs[0]
        y = network.add_cast(positions, to="float32").output
        for _ in range(count):
            y = network.add_layer(Kernel(), [y]).output
        network.mark_output(y, "z")
        feeds = {"x": np.zeros((2, 8), np.float32)}
        with quick_build(network, fusion=False).create_context() as context:
            context.execute(feeds)
            assert len(context.recording({"x": (2, 8)}).segments) == 2
            found[count] = interpreter_calls(context, feeds, None)
    assert found[1] == found[60]
