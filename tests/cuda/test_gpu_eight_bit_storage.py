"""8-bit storage on a GPU: integers and floats with the user's scales; conversions bit by bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network
from plugrt.builtin_layers.conversion import Cast
from plugrt.builtin_layers.pooling.layers import AveragePooling, MaxPooling
from plugrt.builtin_layers.quantization import Dequantize, Quantize
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import Array, DataType, Format, Quantization, TensorDesc
from plugrt.plugins.native import cuda

pytestmark = pytest.mark.cuda

FLOAT8 = {
    DataType.FLOAT8_E4M3FN: ml_dtypes.float8_e4m3fn, DataType.FLOAT8_E5M2: ml_dtypes.float8_e5m2,
}  # fmt: skip


def interesting() -> Array:
    """Numbers of every size, those between two 8-bit floats, and the special ones."""
    random = np.random.default_rng(0)
    anything = random.integers(0, 1 << 32, 100_000, dtype=np.uint32).view(np.float32)
    codes = np.arange(256, dtype=np.uint8)
    known = np.concatenate([codes.view(kind).astype(np.float32) for kind in FLOAT8.values()])
    known = np.unique(known[np.isfinite(known)])
    halves = (known[1:] + known[:-1]) / 2
    near = [np.nextafter(halves, np.float32(side)) for side in (-np.inf, np.inf)]
    limits = np.array([464, 465, -464, 61440, 61439, np.inf, -np.inf, np.nan, 0, -0.0], np.float32)
    return np.concatenate([anything, known, halves, *near, limits]).astype(np.float32)


def assert_same_bits(found: Array, wanted: Array) -> None:
    """Equal bits, or NaN in both."""
    assert found.dtype == wanted.dtype
    nan = np.isnan(wanted.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(found.astype(np.float32)), nan)
    bits = [array.view(f"u{found.dtype.itemsize}")[~nan] for array in (found, wanted)]
    np.testing.assert_array_equal(*bits)


@pytest.mark.parametrize("kind", FLOAT8)
def test_eight_bit_floats_round_as_ml_dtypes(kind: DataType) -> None:
    values = interesting()
    with np.errstate(all="ignore"):
        wanted = values.astype(kind.numpy)
    (found,) = run_on_gpu(Cast(to=kind), [values])
    assert_same_bits(found, wanted)


@pytest.mark.parametrize("kind", FLOAT8)
@pytest.mark.parametrize("wide", [DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16])
def test_every_eight_bit_float_widens_exactly(kind: DataType, wide: DataType) -> None:
    codes = np.tile(np.arange(256, dtype=np.uint8), 3).view(kind.numpy)
    (found,) = run_on_gpu(Cast(to=wide), [codes])
    assert_same_bits(found, codes.astype(np.float32).astype(wide.numpy))


@pytest.mark.parametrize("kind", [*FLOAT8, DataType.INT8, DataType.UINT8])
def test_quantize_and_dequantize(kind: DataType) -> None:
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(0, 60, 5000), [1e6, -1e6, 0]]).astype(np.float32)
    attributes: dict[str, Any] = {"scale": (0.25,), "dtype": kind}
    if kind is DataType.UINT8:
        attributes["zero_point"] = (100,)
    there, back = Quantize(**attributes), Dequantize(**attributes)
    (stored,) = run_on_gpu(there, [values])
    assert_same_bits(stored, there.reference([values])[0])
    (real,) = run_on_gpu(back, [stored])
    np.testing.assert_array_equal(real, back.reference([stored])[0])


@pytest.mark.parametrize("kind", FLOAT8)
def test_a_network_with_eight_bit_floats_stays_on_the_gpu(kind: DataType) -> None:
    random = np.random.default_rng(2)
    network = Network("float8")
    x = network.add_input("x", "float32", [2, 8, 6, 6])
    weights = random.standard_normal((8, 8, 3, 3), np.float32) / 9
    y = network.add_convolution(x, weights, padding=(1, 1, 1, 1)).output
    y = network.add_layer("Quantize", [y], scale=(0.5,), dtype=kind).output
    y = network.add_layer("Concatenation", [y, y], axis=1).output
    y = network.add_layer("Transpose", [y], permutation=(0, 2, 3, 1)).output
    y = network.add_layer("Dequantize", [y], scale=(0.5,), dtype=kind).output
    network.mark_output(network.add_relu(y).output, "y")
    image = random.standard_normal((2, 8, 6, 6), np.float32)
    (wanted,) = network.reference([image])
    config = BuilderConfig(device="cuda", tune="off", threads=2)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        assert not [line for line in engine.report if "runs on the host" in line]
        found = context.execute({"x": image})["y"]
    # The convolution's sums differ in their last bits, which may lead to the neighbouring number.
    step = np.maximum(np.abs(np.asarray(wanted)) / 4, 2.0**-9)
    assert (np.abs(found - np.asarray(wanted)) <= step).all()
    assert np.mean(found == np.asarray(wanted)) > 0.99


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
@pytest.mark.parametrize("kernel", [(2, 2), (5, 5)])
@pytest.mark.parametrize("kind", [MaxPooling, AveragePooling])
def test_eight_bit_floats_are_pooled(kind: Any, kernel: tuple[int, int], layout: Format) -> None:
    layer = kind(kernel=kernel, padding=(1, 1, 1, 1))
    random = np.random.default_rng(4)
    stored = random.uniform(-400, 400, (2, 64, 9, 7)).astype(ml_dtypes.float8_e4m3fn)
    scales = [Quantization((0.5,)), Quantization((0.5 if kind is MaxPooling else 0.75,))]
    source = TensorDesc(DataType.FLOAT8_E4M3FN, stored.shape, layout, quantization=scales[0])
    (wanted,) = layer.reference([stored.astype(np.float32) * np.float32(0.5)])
    output = replace(source, shape=wanted.shape, quantization=scales[1])
    (found,) = run_on_gpu(layer, [stored], inputs=[source], outputs=[output])
    real = found.astype(np.float32) * np.float32(scales[1].scale[0])
    np.testing.assert_allclose(real, wanted, rtol=0 if kind is MaxPooling else 2**-4, atol=2e-3)


def scaled_network() -> tuple[Network, dict[str, Any]]:
    """Layers of every kind that stores 8 bits, with scales from a run in floats."""
    random = np.random.default_rng(3)
    network = Network("scaled")
    x = network.add_input("x", "float32", [2, 32, 12, 12])

    def convolution(source: Any, filters: int, name: str) -> Any:
        shape = (filters, int(source.shape[1]), 3, 3)
        weights = random.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[1]) * 3)
        bias = random.standard_normal(filters).astype(np.float32)
        return network.add_layer(
            "Convolution", [source, weights, bias], name, padding=(1, 1, 1, 1)
        ).output

    first = convolution(x, 32, "first")
    active = network.add_layer("LeakyReLU", [first], "leaky", slope=0.1).output
    pooled = network.add_layer("MaxPooling", [active], "pool", kernel=(2, 2), strides=(2, 2)).output
    mean = network.add_layer("AveragePooling", [pooled], "mean", kernel=(3, 3), padding=(1,) * 4)
    joined = network.add_layer("Concatenation", [pooled, mean.output], "join", axis=1).output
    second = convolution(joined, 32, "second")
    total = network.add_layer("Add", [second, pooled], "sum").output
    network.mark_output(network.add_layer("Sigmoid", [total], "sigmoid").output, "y")
    values: dict[str, Any] = {"x": random.standard_normal((2, 32, 12, 12), np.float32)}
    for layer in network.layers:
        given = [t.value if t.is_constant else values[t.name] for t in layer.inputs if t]
        values[layer.output.name] = np.asarray(layer.plugin.reference(given)[0])
    shared = max(float(np.abs(values[t.name]).max()) for t in (pooled, mean.output, joined))
    for tensor in (x, first, active, second, total):
        tensor.set_quantization(float(np.abs(values[tensor.name]).max()) / 127)
    for tensor in (pooled, mean.output, joined):
        tensor.set_quantization(shared / 127)
    return network, values


def types_in(engine: Engine) -> set[DataType]:
    """Of what flows between layers."""
    return {t.dtype for t in engine.planned.network.tensors.values() if not t.is_constant}


@pytest.mark.parametrize("tune", ["off", "fast"])
def test_stored_integers_are_near_the_floats(tune: str) -> None:
    network, values = scaled_network()
    config = BuilderConfig(device="cuda", precision="int8", tune=tune, threads=2)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        assert not [line for line in engine.report if "runs on the host" in line]
        assert DataType.INT8 in types_in(engine)
        found = context.execute({"x": values["x"]})["y"]
        np.testing.assert_array_equal(found, context.execute({"x": values["x"]})["y"])
    assert np.abs(found - values[network.outputs[0].name]).max() < 0.06


def test_stored_floats_are_near_the_floats() -> None:
    """With 3 bits behind the leading one, each conversion is off by up to a sixteenth."""
    if cuda.device_properties().compute_capability < (8, 9):
        pytest.skip("this GPU does not multiply 8-bit floats")
    network, values = scaled_network()
    config = BuilderConfig(device="cuda", precision="fp8", tune="off", threads=2)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        assert not [line for line in engine.report if "runs on the host" in line]
        assert DataType.FLOAT8_E4M3FN in types_in(engine)
        assert {"first: runs in 8 bits", "second: runs in 8 bits"} <= set(engine.report)
        found = context.execute({"x": values["x"]})["y"]
        plan = engine.to_bytes()
    assert np.abs(found - values[network.outputs[0].name]).max() < 0.15
    assert np.abs(found - values[network.outputs[0].name]).mean() < 0.02
    with Engine.from_bytes(plan) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": values["x"]})["y"], found)
    with pytest.warns(RuntimeWarning, match="for the device 'cuda'"):
        engine = Engine.from_bytes(plan, device="cpu")
    with engine, engine.create_context() as context:
        again = context.execute({"x": values["x"]})["y"]
        assert DataType.FLOAT8_E4M3FN not in types_in(engine)
    assert np.abs(again - values[network.outputs[0].name]).max() < 0.15


def test_stored_integers_are_those_of_the_cpu() -> None:
    """A step of the last scale apart, where a sum lies between two of them."""
    network, values = scaled_network()
    results = []
    for device in ("cpu", "cuda"):
        config = BuilderConfig(device=device, precision="int8", tune="off", threads=2)
        with plugrt.build(network, config) as engine, engine.create_context() as context:
            results.append(context.execute({"x": values["x"]})["y"])
    assert np.abs(results[0] - results[1]).max() < 0.05
