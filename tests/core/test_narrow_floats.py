"""16-bit floats: layers run in them where that is faster, conversions counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from plugrt import Engine, LayerPlugin, Network, Registry
from plugrt.core.devices.cpu import CpuDevice
from plugrt.plugins import Array, Combination, DataType, Shape, TensorDesc

Build = Callable[..., Engine]

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
WEIGHTS = np.float32([[0.3], [1.7]])
NARROW = DataType.BFLOAT16


class Weighted(LayerPlugin):
    """x * weights, slow in float32; takes weights of the type of x."""

    type = "Test.Weighted"
    input_names = ("input", "weights")
    slow = DataType.FLOAT32

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def supportsFormat(self, combination: Combination) -> bool:
        tensors = (*combination.inputs, *combination.outputs)
        return len({desc.dtype for desc in tensors}) == 1

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        if inputs[0].dtype == self.slow.numpy:
            time.sleep(1e-3)
        outputs[0][...] = inputs[0] * inputs[1]


class WeightedSlowly(Weighted):
    """The same, slow in 16 bits."""

    type = "Test.WeightedSlowly"
    slow = NARROW


class AsDefined(LayerPlugin):
    """x + 1 by an author who does not think of types."""

    type = "Test.AsDefined"

    def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Any) -> None:
        if inputs[0].dtype == np.float32:
            time.sleep(1e-3)
        outputs[0][...] = inputs[0] + inputs[0].dtype.type(1)


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CpuDevice, "narrow_floats", lambda self: (NARROW,))


@pytest.fixture
def registry() -> Registry:
    return Registry.of([Weighted, WeightedSlowly, AsDefined])


def chain(network: Network, *types: str) -> Network:
    tensor = network.add_input("x", "float32", [2, 3])
    weights = network.add_constant("w", WEIGHTS)
    for index, name in enumerate(types):
        inputs = [tensor] if name == "Test.AsDefined" else [tensor, weights]
        tensor = network.add_layer(name, inputs, name=f"l{index}").output
    network.mark_output(tensor, "y")
    return network


def types_of(engine: Engine) -> dict[str, str]:
    return {layer.name: layer.output.dtype.value for layer in engine.planned.network.layers}


def run(engine: Engine) -> Array:
    with engine.create_context() as context:
        return context.execute({"x": X})["y"]


def test_a_layer_that_gains_is_stored_in_16_bits(network: Network, quick_build: Build) -> None:
    engine = quick_build(
        chain(network, "Test.Weighted", "Test.Weighted"), precision="bf16", tune="fast"
    )
    assert types_of(engine) == {
        "x.bfloat16": "bfloat16", "l0": "bfloat16", "l1": "bfloat16", "l1.float32": "float32",
    }  # fmt: skip
    result = run(engine)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, X * WEIGHTS * WEIGHTS, rtol=2e-2)
    with Engine.from_bytes(engine.to_bytes(), network.registry) as loaded:
        np.testing.assert_array_equal(run(loaded), result)
        # The plan keeps weights once, in the type in use.
        constants = {t.dtype for t in loaded.planned.network.tensors.values() if t.is_constant}
        assert constants == {NARROW}


def test_a_layer_that_loses_stays(network: Network, quick_build: Build) -> None:
    engine = quick_build(
        chain(network, "Test.WeightedSlowly", "Test.Weighted"), precision="bf16", tune="fast"
    )
    assert types_of(engine)["l0"] == "float32"
    assert types_of(engine)["l1"] == "bfloat16"
    np.testing.assert_allclose(run(engine), X * WEIGHTS * WEIGHTS, rtol=2e-2)


def test_layers_that_do_not_ask_for_types_get_those_of_the_definition(
    network: Network, quick_build: Build
) -> None:
    engine = quick_build(
        chain(network, "Test.Weighted", "Test.AsDefined"), precision="bf16", tune="fast"
    )
    assert types_of(engine)["l1"] == "float32"
    np.testing.assert_allclose(run(engine), X * WEIGHTS + 1, rtol=2e-2)


def test_full_precision_is_the_default(network: Network, quick_build: Build) -> None:
    engine = quick_build(chain(network, "Test.Weighted"), tune="fast")
    assert types_of(engine) == {"l0": "float32"}


@pytest.mark.parametrize(
    ("wanted", "available", "note"),
    [
        ("fp16", (NARROW,), "float16 is not native to this device: layers use bfloat16 or"),
        ("bf16", (), "bfloat16 is not native to this device: layers use float32"),
    ],
)
def test_a_type_that_the_processor_lacks_is_told(
    network: Network, quick_build: Build, monkeypatch: pytest.MonkeyPatch, wanted: str,
    available: tuple[DataType, ...], note: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(CpuDevice, "narrow_floats", lambda self: available)
    engine = quick_build(chain(network, "Test.Weighted"), precision=wanted, tune="fast")
    assert note in "\n".join(engine.report)
    assert ("bfloat16" in types_of(engine).values()) == bool(available)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_network_defined_in_16_bits_stays_so(
    network: Network, quick_build: Build, dtype: str
) -> None:
    x = network.add_input("x", dtype, [2, 3])
    network.mark_output(network.add_layer("Test.AsDefined", [x]).output, "y")
    engine = quick_build(network, precision="bf16")
    assert engine.outputs["y"].dtype is DataType.of(dtype)
    with engine.create_context() as context:
        result = context.execute({"x": X.astype(DataType.of(dtype).numpy)})["y"]
    np.testing.assert_allclose(result.astype(np.float32), X + 1, rtol=1e-2)
