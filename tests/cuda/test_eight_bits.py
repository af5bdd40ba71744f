"""8-bit floats compile for every architecture, and are what NumPy makes of them on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network, Registry
from plugrt.plugins import (
    DataType,
    Epilogue,
    LayerAttributeError,
    Quantization,
    TacticRequest,
    TensorDesc,
    TensorView,
)
from plugrt.plugins.expression import evaluate
from plugrt.plugins.native.cuda import ARCHITECTURES
from tests.cuda.kernel_harness import CollectingStream

from .fake_driver import FakeDriver

FLOAT8 = (DataType.FLOAT8_E4M3FN, DataType.FLOAT8_E5M2)
REGISTRY = Registry.default()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_conversions_compile(architecture: str) -> None:
    for kind in FLOAT8:
        attributes = {"scale": (0.5,), "dtype": kind}
        wide, narrow = TensorDesc(DataType.FLOAT32, (100,)), TensorDesc(kind, (100,))
        for name, source, output in (("Quantize", wide, narrow), ("Dequantize", narrow, wide)):
            layer = REGISTRY.createPlugin(name, attributes)
            assert layer.getTactics(TacticRequest((source,), (output,), device="cuda"))
            stream = CollectingStream()
            layer.enqueue([TensorView(source, 1)], [TensorView(output, 2)], None, stream)
            (kernel,) = stream.kernels
            assert kernel.compile(architecture).startswith(b"\x7fELF")


@pytest.mark.parametrize("kind", FLOAT8)
def test_quantize_saturates_and_dequantize_gives_back(kind: DataType) -> None:
    network = Network("float8")
    x = network.add_input("x", "float32", [6])
    attributes: dict[str, Any] = {"scale": (0.5,), "dtype": kind}
    stored = network.add_layer("Quantize", [x], **attributes).output
    network.mark_output(network.add_layer("Dequantize", [stored], **attributes).output, "y")
    values = np.array([0, 0.5, -3, 1e9, -1e9, 1.03125], np.float32)
    most = {DataType.FLOAT8_E4M3FN: 224.0, DataType.FLOAT8_E5M2: 28672.0}[kind]
    with (
        plugrt.build(network, BuilderConfig(tune="off")) as engine,
        engine.create_context() as context,
    ):
        found = context.execute({"x": values})["y"]
    np.testing.assert_array_equal(found, [0, 0.5, -3, most, -most, 1])


def test_eight_bit_floats_have_no_zero_point() -> None:
    with pytest.raises(LayerAttributeError, match=r"zero_point=\(3,\) does not fit dtype=float8"):
        REGISTRY.createPlugin(
            "Quantize", {"scale": (1.0,), "dtype": "float8_e5m2", "zero_point": (3,)}
        )


def scaled_chain() -> tuple[Network, Any]:
    """A sigmoid whose result is joined with itself, all with scales, and numbers for it."""
    network = Network("chain")
    x = network.add_input("x", "float32", [2, 3, 4])
    bent = network.add_layer("Sigmoid", [x], "bend").output
    joined = network.add_layer("Concatenation", [bent, bent], "join", axis=1).output
    network.mark_output(network.add_layer("Softmax", [joined], "softmax", axis=1).output, "y")
    for tensor, scale in ((x, 4 / 448), (bent, 1 / 448), (joined, 1 / 448)):
        tensor.set_quantization(scale, 7)
    return network, np.random.default_rng(0).uniform(-4, 4, (2, 3, 4)).astype(np.float32)


def test_scaled_tensors_are_stored_as_eight_bit_floats(driver: FakeDriver) -> None:
    network, values = scaled_chain()
    (wanted,) = network.reference([values])
    config = BuilderConfig(device="cuda", precision="fp8", tune="off")
    with plugrt.build(network, config) as engine:
        told = [line for line in engine.report if "8 bits" in line]
        assert told == ["bend: runs in 8 bits", "join: runs in 8 bits"]
        plan = engine.to_bytes()
    with Engine.from_bytes(plan) as engine:
        stored = [
            t.quantization for t in engine.planned.network.tensors.values()
            if t.dtype is DataType.FLOAT8_E4M3FN
        ]  # fmt: skip
        assert {q.scale[0] for q in stored if q} == {4 / 448, 1 / 448}
        assert {q.zero_point for q in stored if q} == {(0,)}  # floats know none
    with pytest.warns(RuntimeWarning, match="for the device 'cuda'"):
        engine = Engine.from_bytes(plan, device="cpu")
    with engine, engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": values})["y"], wanted, atol=0.01)


def test_on_the_cpu_scaled_tensors_stay_floats() -> None:
    network, values = scaled_chain()
    config = BuilderConfig(precision="fp8", tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        found = context.execute({"x": values})["y"]
        types = {t.dtype for t in engine.planned.network.tensors.values()}
    assert types == {DataType.FLOAT32}
    np.testing.assert_allclose(found, np.asarray(network.reference([values])[0]), rtol=1e-5)


def test_layers_that_only_move_values_are_no_reason_for_eight_bits(driver: FakeDriver) -> None:
    network = Network("moving")
    x = network.add_input("x", "float32", [1, 8, 6, 6])
    joined = network.add_layer("Concatenation", [x, x], "join", axis=1).output
    network.mark_output(network.add_layer("Softmax", [joined], "softmax", axis=1).output, "y")
    for tensor in (x, joined):
        tensor.set_quantization(0.1)
    config = BuilderConfig(device="cuda", precision="int8", tune="off")
    with plugrt.build(network, config) as engine:
        assert not [line for line in engine.report if "8 bits" in line]


def test_what_is_too_large_saturates_before_it_is_stored() -> None:
    scaled = Quantization.of(0.5)
    kind = DataType.FLOAT8_E4M3FN
    layer = REGISTRY.createPlugin("LeakyReLU", {})
    wide = TensorDesc(DataType.FLOAT32, (4,))
    narrow = TensorDesc(kind, (4,), quantization=scaled)
    stored = layer._composed(Epilogue(), [wide], narrow)  # type: ignore[attr-defined]
    found = evaluate(stored, [np.array([1, 1000, 224, 1e30], np.float32)], 1)
    np.testing.assert_array_equal(np.asarray(found), [2, 448, 448, 448])
