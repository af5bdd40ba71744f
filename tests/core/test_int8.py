"""8-bit storage: who gets scales, where casts go, and that users see floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from plugrt import DataType, Engine, Layer, LayerPlugin, Network, ShapeError, Tensor
from plugrt.core.passes.precision import quantise
from plugrt.plugins import (
    Combination,
    Quantization,
    RangeRule,
    SameRange,
    Shape,
    Tactic,
    TacticRequest,
    TensorDesc,
)

Build = Callable[..., Engine]
Run = Callable[..., dict[str, Any]]


class Scaled(LayerPlugin):
    """weights * x, in floats, or from 8 bits to 8 bits or floats; weights then too."""

    type = "Test.Scaled"
    input_names = ("x", "weights")
    stored: ClassVar[list[Any]] = []
    widths: ClassVar[tuple[bool, ...]] = (True, False)
    """Whether the output may be in 8 bits."""

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        x, weights = combination.inputs
        (y,) = combination.outputs
        if x.quantization is None:
            return all(d.quantization is None for d in (weights, y))
        if y.quantization is not None and True not in self.widths:
            return False
        return weights.quantization is not None

    def getTactics(self, request: TacticRequest) -> Sequence[Tactic]:
        return () if request.epilogue else (Tactic("python"),)

    def inputQuantization(self, index: int, inputs: Sequence[TensorDesc]) -> Any | None:
        return Quantization.of(float(np.abs(inputs[1].value).max()) / 127) if index == 1 else None

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0] * inputs[1]]

    def configure(self, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> None:
        self.scales = [d.quantization for d in (*inputs, *outputs)]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        x, weights = (
            array.astype(np.float32) if scale is None
            else (array.astype(np.float32) - scale.zero_point[0]) * np.float32(scale.scale[0])
            for array, scale in zip(inputs, self.scales, strict=False)
        )  # fmt: skip
        self.stored.append([str(array.dtype) for array in (*inputs, *outputs)])
        out = self.scales[2]
        outputs[0][...] = x * weights if out is None else quantise(
            x * weights, out, DataType.of(outputs[0].dtype)
        )  # fmt: skip


class Same(LayerPlugin):
    """x in any type, with the range of x."""

    type = "Test.Same"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        return combination.inputs[0] == combination.outputs[0]

    def reference(self, inputs: Sequence[Any]) -> list[Any]:
        return [inputs[0]]

    def outputRange(self, index: int) -> RangeRule:
        return SameRange(0)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        outputs[0][...] = inputs[0]


class FloatOnly(Same):
    """x, in floats."""

    type = "Test.FloatOnly"

    def supportsFormat(self, combination: Combination) -> bool:
        return LayerPlugin.supportsFormat(self, combination)


X = np.linspace(-1, 1, 41, dtype=np.float32)
WEIGHTS = np.linspace(0.5, 2, 41, dtype=np.float32)


@pytest.fixture
def x(network: Network) -> Tensor:
    tensor = network.add_input("x", "float32", [41])
    tensor.set_quantization(1 / 127)
    return tensor


def scaled(network: Network, x: Tensor, name: str, scale: float | None = None) -> Tensor:
    y = network.add_layer(Scaled(), [x, WEIGHTS], name=name).output
    if scale is not None:
        y.set_quantization(scale)
    return y


def types(engine: Engine) -> dict[str, tuple[str, str]]:
    """Types in and out of every layer; casts by their tensors' names."""
    return {
        layer.name: (layer.present_inputs[0].dtype.value, layer.output.dtype.value)
        for layer in engine.planned.network.layers
    }


def layer(engine: Engine, name: str) -> Layer:
    return next(item for item in engine.planned.network.layers if item.name == name)


def test_scales_travel_through_layers_of_the_same_range(
    network: Network, x: Tensor, quick_build: Build
) -> None:
    y = scaled(network, x, "first", 2 / 127)
    y = network.add_layer(Same(), [y], name="same").output
    y = network.add_layer(Same(), [y], name="again").output
    network.mark_output(scaled(network, y, "second"), "y")
    engine = quick_build(network, precision="int8")
    assert types(engine) == {
        "x.int8": ("float32", "int8"), "first": ("int8", "int8"), "same": ("int8", "int8"),
        "again": ("int8", "int8"), "second": ("int8", "float32"),
    }  # fmt: skip
    first = layer(engine, "first").output.quantization
    assert first is not None
    assert first.scale == (2 / 127,)
    assert layer(engine, "again").output.quantization == first
    assert layer(engine, "first").inputs[1].dtype is DataType.INT8  # type: ignore[union-attr]
    Scaled.stored.clear()
    with engine.create_context() as context:
        found = context.execute({"x": X})["y"]
    assert found.dtype == np.float32
    assert Scaled.stored == [["int8"] * 3, ["int8", "int8", "float32"]]
    np.testing.assert_allclose(found, X * WEIGHTS * WEIGHTS, atol=0.05)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, 2.0), (1.0, None)])
def test_inputs_of_other_scales_keep_a_join_in_float(
    network: Network, x: Tensor, quick_build: Build, scales: tuple[float, float | None]
) -> None:
    """The scale of one input would cut off the values of another."""
    parts = [scaled(network, x, name, scale) for name, scale in zip("ab", scales, strict=True)]
    joined = network.add_concatenation(parts, axis=0, name="joined").output
    network.mark_output(network.add_layer(Same(), [joined], name="y").output)
    wanted = "int8" if scales[0] == scales[1] else "float32"
    assert types(quick_build(network, precision="int8"))["joined"] == (wanted, wanted)


def test_casts_stand_where_floats_are_needed(
    network: Network, x: Tensor, quick_build: Build
) -> None:
    y = scaled(network, x, "first", 2 / 127)
    network.mark_output(network.add_layer(FloatOnly(), [y], name="float").output, "f")
    network.mark_output(scaled(network, y, "second"), "s")
    network.mark_output(y, "y")  # an output that is stored in 8 bits inside
    engine = quick_build(network, precision="int8")
    assert types(engine) == {
        "x.int8": ("float32", "int8"), "first": ("int8", "int8"),
        "first.float32": ("int8", "float32"), "float": ("float32", "float32"),
        "second": ("int8", "float32"),
    }  # fmt: skip
    assert {name: desc.dtype for name, desc in engine.outputs.items()} == dict.fromkeys(
        "fsy", DataType.FLOAT32
    )
    with engine.create_context() as context:
        results = context.execute({"x": X})
    np.testing.assert_allclose(results["y"], X * WEIGHTS, atol=0.03)
    np.testing.assert_array_equal(results["y"], results["f"])


def test_float_results_where_a_layer_writes_no_8_bits(
    network: Network, x: Tensor, quick_build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scaled, "widths", (False,))
    y = scaled(network, x, "first", 2 / 127)
    network.mark_output(scaled(network, y, "second"), "y")
    assert types(quick_build(network, precision="int8")) == {
        "x.int8": ("float32", "int8"), "first": ("int8", "float32"),
        "first.int8": ("float32", "int8"), "second": ("int8", "float32"),
    }  # fmt: skip


def test_scales_mean_nothing_in_float(network: Network, x: Tensor, agree: Run) -> None:
    y = scaled(network, x, "first", 2 / 127)
    for tensor in network.tensors.values():
        tensor.set_quantization(0.5)
    network.mark_output(network.add_layer(Same(), [y]).output, "y")
    agree(network, {"x": X})


def test_scales_of_weights_alone_change_nothing(network: Network, agree: Run) -> None:
    x = network.add_input("x", "float32", [41])
    network.mark_output(scaled(network, x, "y"))
    network.tensors["y.weights"].set_quantization(0.01)
    agree(network, {"x": X}, precision="int8")


def test_without_scales_nothing_changes(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [41])
    network.mark_output(scaled(network, x, "y"))
    plain = quick_build(network)
    assert types(quick_build(network, precision="int8")) == types(plain)


@pytest.mark.parametrize(
    ("zero_point", "dtype", "wanted"),
    [
        (0, DataType.INT8, [-128, -128, -2, 0, 0, 2, 2, 127]),
        (128, DataType.UINT8, [0, 0, 126, 128, 128, 130, 130, 255]),
    ],
)
def test_rounding_and_saturation(zero_point: int, dtype: DataType, wanted: list[int]) -> None:
    values = np.array([-1000, -64.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1e9])
    found = quantise(values, Quantization.of(0.5, zero_point), dtype)
    np.testing.assert_array_equal(found, wanted)


def test_unsigned_storage(network: Network, quick_build: Build) -> None:
    x = network.add_input("x", "float32", [41])
    x.set_quantization(2 / 255, 128)
    network.mark_output(scaled(network, x, "y"))
    engine = quick_build(network, precision="int8")
    assert types(engine) == {"x.uint8": ("float32", "uint8"), "y": ("uint8", "float32")}
    with engine.create_context() as context:
        found = context.execute({"x": X})["y"]
    np.testing.assert_allclose(found, X * WEIGHTS, atol=0.03)


def test_only_constants_take_scales_along_an_axis(network: Network) -> None:
    x = network.add_input("x", "float32", ["N", 3])
    weights = network.add_constant("weights", np.ones((2, 3), np.float32))
    weights.set_quantization([0.1, 0.2, 0.3], axis=-1)
    assert weights.quantization == Quantization((0.1, 0.2, 0.3), axis=1)
    for tensor, scales, axis in ((x, [0.1] * 3, 1), (weights, [0.1] * 3, 0), (weights, [0.1], 2)):
        with pytest.raises(ShapeError, match=rf"{tensor.name}.*scales along axis {axis} do not"):
            tensor.set_quantization(scales, axis=axis)
    for scale in (0, -1, np.nan, []):
        with pytest.raises(ShapeError, match="scale"):
            x.set_quantization(scale)
