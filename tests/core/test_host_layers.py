"""Layers that run in Python at every inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import DeviceError, Engine, LayerPlugin, Network
from plugrt.plugins import Combination, Format, Shape, TensorDesc, attribute

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]

X = np.arange(32, dtype=np.float32).reshape(1, 16, 2, 1)


class Unary(LayerPlugin):
    """Base: one output like the input; any format, as careless authors write it."""

    type = "Test.Unary"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        return True

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] + 1]


def build_one(build: Build, network: Network, *layers: LayerPlugin, **options: Any) -> Engine:
    """A chain of layers named a, b, c..."""
    y = network.add_input("x", "float32", X.shape)
    for name, layer in zip("abcdef", layers, strict=False):
        y = network.add_layer(layer, [y], name=name).output
    network.mark_output(y, "y")
    return build(network, **options)


# ---- Python at every inference ------------------------------------------------------------------


class Shown(Unary):
    """x + 1; keeps the layout it saw."""

    type = "Test.Shown"

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        assert isinstance(inputs[0], np.ndarray)
        assert inputs[0].shape == outputs[0].shape == X.shape
        outputs[0][...] = inputs[0] + 1


@pytest.mark.parametrize("tune", ["fast", "off"])
def test_python_sees_logical_arrays_in_every_format(
    network: Network, quick_build: Build, agree: Run, tune: str
) -> None:
    """Blocks of channels are no array: such a layer is not asked about them."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((16, 16, 1, 1)).astype(np.float32)
    y = network.add_input("x", "float32", X.shape)
    for name in "ab":
        y = network.add_convolution(y, weights, name=f"conv {name}").output
        y = network.add_layer(Shown(), [y], name=name).output
    network.mark_output(y, "y")
    engine = quick_build(network, tune=tune)
    formats = {
        t.format for layer in engine.planned.network.layers if layer.plugin.type == "Test.Shown"
        for t in (*layer.present_inputs, *layer.outputs)
    }  # fmt: skip
    assert Format.CHANNELS_BLOCKED_16 not in formats
    agree(network, {"x": X}, tune=tune)


class Failing(Unary):
    """Raises for an input above 1000."""

    type = "Test.Failing"

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        value = float(inputs[0].max())
        if value > 3000:
            raise KeyboardInterrupt
        if value > 1000:
            raise ValueError(f"{value:g} is too large")
        outputs[0][...] = inputs[0] + 1


def test_python_errors_name_the_layer_and_leave_the_context_usable(
    network: Network, quick_build: Build
) -> None:
    engine = build_one(quick_build, network, Shown(), Failing(), Shown())
    with engine.create_context() as context:
        for _ in range(2):
            message = "^layer 'b' failed: ValueError: 2001 is too large$"
            with pytest.raises(DeviceError, match=message) as caught:
                context.execute({"x": np.full(X.shape, 2000, np.float32)})
            assert isinstance(caught.value.__cause__, ValueError)
            np.testing.assert_array_equal(context.execute({"x": X})["y"], X + 3)


def test_an_interrupt_is_no_error_of_the_layer(network: Network, quick_build: Build) -> None:
    engine = build_one(quick_build, network, Failing())
    with engine.create_context() as context:
        with pytest.raises(KeyboardInterrupt):
            context.execute({"x": np.full(X.shape, 4000, np.float32)})
        np.testing.assert_array_equal(context.execute({"x": X})["y"], X + 1)


class Launching(Unary):
    """Uses the stream at inference, where it takes nothing."""

    type = "Test.Launching"
    how = attribute(str, doc="method of the stream")
    arguments = attribute(int, 3, "how many it takes")

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        getattr(stream, self.how)(*[None] * self.arguments)


@pytest.mark.parametrize(
    ("how", "arguments"),
    [("launch_raw", 2), ("keep", 1), ("host_callback", 3), ("record", 4), ("branch", 2),
     ("repeat", 1)],
)  # fmt: skip
def test_nothing_can_be_launched_at_inference(
    network: Network, quick_build: Build, how: str, arguments: int
) -> None:
    engine = build_one(quick_build, network, Launching(how=how, arguments=arguments))
    message = r"^layer 'a' failed: PluginError: .*set `recordable = True`"
    with engine.create_context() as context, pytest.raises(DeviceError, match=message):
        context.execute({"x": X})


class Nested(Unary):
    """Runs an engine of its own, which may fail."""

    type = "Test.Nested"
    catches = attribute(bool, False, "whether it copes with errors of its engine")

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        try:
            outputs[0][...] = INNER[0].execute({"x": inputs[0]})["y"]
        except DeviceError:
            if not self.catches:
                raise
            outputs[0][...] = inputs[0]


INNER: list[Any] = []


@pytest.mark.parametrize(("catches", "wanted"), [
    (False, r"^layer 'b' failed: DeviceError: layer 'd' failed: ValueError: \d+ is too"),
    (True, r"^layer 'c' failed: ValueError: 2001 is too large"),
])
def test_an_engine_inside_a_layer(
    network: Network, quick_build: Build, catches: bool, wanted: str
) -> None:
    inside = Network("inside", network.registry)
    layers = (Shown(), Shown(), Shown(), Failing())
    outside = build_one(quick_build, network, Shown(), Nested(catches=catches), Failing())
    with build_one(quick_build, inside, *layers).create_context() as inner:
        INNER[:] = [inner]
        with outside.create_context() as context:
            np.testing.assert_array_equal(context.execute({"x": X})["y"], X + 6)
            with pytest.raises(DeviceError, match=wanted):
                context.execute({"x": np.full(X.shape, 2000, np.float32)})
