"""Plans: what goes in comes out, in another process and without the model."""

from __future__ import annotations

import mmap
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt.core.builder import BuilderConfig, build
from plugrt.core.engine import Engine
from plugrt.core.engine.constants import SMALL
from plugrt.core.engine.plan import (
    EngineInfo,
    read_plan,
    write_plan,
)
from plugrt.core.graph import Network
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    LayerPlugin,
    PlanError,
    PlugrtError,
    Shape,
    TensorDesc,
)

X = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)


def weights(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---- the same network again ---------------------------------------------------------------


def test_a_loaded_plan_computes_the_same(kit: Any, registry: Registry, small_plan: bytes) -> None:
    result = kit.run_plan(small_plan, registry, {"x": X})
    np.testing.assert_allclose(result["y"], kit.small_reference(X), rtol=1e-6)


def test_writing_a_loaded_plan_gives_the_same_bytes(
    registry: Registry, small_plan: bytes
) -> None:
    assert write_plan(*read_plan(small_plan, registry)) == small_plan


def test_metadata_reaches_whoever_loads_the_plan(kit: Any, registry: Registry) -> None:
    network = kit.small_network()
    network.metadata["class_names"] = "Löwe\ntable lamp"
    plan = build(network, BuilderConfig(tune="off")).to_bytes()
    assert Engine.from_bytes(plan, registry).metadata == {"class_names": "Löwe\ntable lamp"}


def test_metadata_must_be_text(kit: Any) -> None:
    network = kit.small_network()
    network.metadata["classes"] = 3
    with pytest.raises(PlugrtError, match="metadata 'classes' is int; keys and values must be"):
        build(network, BuilderConfig(tune="off"))


def test_two_builds_give_the_same_bytes(kit: Any, small_plan: bytes) -> None:
    assert kit.plan_of(kit.small_network(), max_batch_size=4) == small_plan


def test_names_shapes_and_decisions_survive(kit: Any, registry: Registry) -> None:
    engine = build(kit.small_network(), BuilderConfig(tune="off", threads=3, max_batch_size=4))
    planned, info = read_plan(engine.to_bytes(), registry)
    assert info == engine.info
    assert info.profiles == {"N": (1, 4, 4)}
    mine, theirs = planned.network, engine.planned.network
    assert mine.output_names == theirs.output_names
    assert mine.input_descs == theirs.input_descs
    assert sorted(mine.tensors) == sorted(theirs.tensors)
    assert list(mine.size_tensors) == list(theirs.size_tensors)
    for a, b in zip(mine.layers, theirs.layers, strict=True):
        assert (a.name, a.kernel, a.fused, a.epilogue) == (b.name, b.kernel, b.fused, b.epilogue)
        assert a.plugin.attribute_values == b.plugin.attribute_values
        assert (a.plugin.tactic, a.plugin.epilogue) == (b.plugin.tactic, b.plugin.epilogue)
        assert [t.desc for t in a.outputs] == [t.desc for t in b.outputs]
        assert planned.aliasing[a] == engine.planned.aliasing[b]
    assert any(layer.epilogue for layer in mine.layers)
    assert any(planned.aliasing[layer].slices for layer in mine.layers)
    assert any(planned.aliasing[layer].views for layer in mine.layers)


def test_another_process_runs_a_saved_file(tmp_path: Path) -> None:
    network = Network("saved")
    x = network.add_input("x", "float32", [2, 3])
    shifted = network.add_layer("Add", [x, weights(3)]).output
    network.mark_output(network.add_layer("ReLU", [shifted]).output, "y")
    path = tmp_path / "saved.plan"
    build(network, BuilderConfig(tune="off", threads=1)).save(path)
    script = (
        "import sys, numpy as np\n"
        "from plugrt.core.engine import Engine\n"
        "x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)\n"
        "with Engine.load(sys.argv[1]).create_context() as context:\n"
        "    print(context.execute({'x': x})['y'].tobytes().hex())\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    expected = np.maximum(X + weights(3), 0)
    np.testing.assert_array_equal(
        np.frombuffer(bytes.fromhex(printed), np.float32).reshape(2, 3), expected
    )


def convolutions() -> Network:
    """Convolution, batch norm, leaky and residual; slices; formats with blocks."""
    network = Network("convolutions")
    x = network.add_input("x", "float32", ["N", 3, 8, 8])
    first = network.add_layer("Convolution", [x, weights(16, 3, 3, 3)], padding=(1,) * 4).output
    statistics = [np.abs(weights(16, seed=k)) + 0.5 for k in range(4)]
    first = network.add_layer("BatchNormalization", [first, *statistics]).output
    first = network.add_layer("LeakyReLU", [first], slope=0.1).output
    second = network.add_layer("Convolution", [first, weights(16, 16, 1, 1)]).output
    total = network.add_layer("Add", [first, second]).output
    sides = [
        network.add_layer("Convolution", [total, weights(16, 16, 1, 1, seed=k)]).output
        for k in (1, 2)
    ]
    joined = network.add_layer("Concatenation", sides).output
    network.mark_output(joined, "joined")
    flat = network.add_layer("Reshape", [joined], shape=(0, -1)).output
    network.mark_output(flat, "flat")
    return network


def quantised() -> Network:
    """Two 8-bit convolutions with pooling between them."""
    network = Network("quantised")
    x = network.add_input("x", "float32", ["N", 3, 8, 8])
    x.set_quantization(0.05)
    first = network.add_layer("Convolution", [x, weights(16, 3, 3, 3)], padding=(1,) * 4).output
    first.set_quantization(0.1)
    pooled = network.add_layer("MaxPooling", [first], kernel=(2, 2), strides=(2, 2)).output
    network.mark_output(network.add_layer("Convolution", [pooled, weights(8, 16, 1, 1)]).output)
    return network


def conditional(depth: int = 2) -> Network:
    """If inside If: bodies with constants, fusion and symbolic sizes of their own."""
    network = Network(f"conditional {depth}")
    condition = network.add_input("condition", "bool", [])
    x = network.add_input("x", "float32", ["M", 3])
    bodies = []
    for k in range(2):
        if depth > 1:
            bodies.append(conditional(depth - 1))
            continue
        body = Network(f"body {k}")
        body.add_input("condition", "bool", [])
        inner = body.add_input("x", "float32", ["K", 3])
        shifted = body.add_layer("Add", [inner, weights(3, seed=k)]).output
        body.mark_output(body.add_layer("Tanh", [shifted]).output)
        bodies.append(body)
    chosen = network.add_layer(
        "If", [condition, condition, x], then_body=bodies[0], else_body=bodies[1]
    )
    network.mark_output(network.add_layer("ReLU", [chosen.output]).output, "y")
    return network


def loop() -> Network:
    """A loop with a carried and a stacked value."""
    body = Network("body")
    body.add_input("iteration", "int64", [])
    going = body.add_input("going", "bool", [])
    value = body.add_input("value", "float32", [4])
    body.mark_output(body.add_layer("Identity", [going]).output, "go on")
    body.mark_output(body.add_layer("Add", [value, value]).output, "twice")
    body.mark_output(body.add_layer("Multiply", [value, np.float32(3)]).output, "element")
    network = Network("loop")
    x = network.add_input("x", "float32", [4])
    results = network.add_layer(
        "Loop", [np.array(5), np.array(True), x], body=body, carried=1, stacked=1
    ).outputs
    for index, tensor in enumerate(results):
        network.mark_output(tensor, f"y{index}")
    return network


PICTURE = weights(2, 3, 8, 8)
NETWORKS: Mapping[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "convolutions": (convolutions, {"max_batch_size": 4}, {"x": PICTURE}),
    "quantised": (quantised, {"precision": "int8"}, {"x": PICTURE}),
    "conditional": (conditional, {}, {"condition": np.array(True), "x": X}),
    "loop": (loop, {}, {"x": np.arange(4, dtype=np.float32)}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_all_kinds_go_round(name: str) -> None:
    make, options, inputs = NETWORKS[name]
    engine = build(make(), BuilderConfig(tune="off", threads=1, **options))
    plan = engine.to_bytes()
    loaded = type(engine).from_bytes(plan)
    assert not loaded.report
    assert loaded.to_bytes() == plan
    with engine.create_context() as before, loaded.create_context() as after:
        expected, found = before.execute(inputs), after.execute(inputs)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_array_equal(found[output], expected[output])


def test_the_networks_of_the_round_trip_use_what_they_claim(kit: Any) -> None:
    planned, _ = read_plan(kit.plan_of(convolutions()))
    assert any(layer.epilogue.operands for layer in planned.network.layers)
    planned, _ = read_plan(kit.plan_of(quantised(), precision="int8"))
    stored = [t for t in planned.network.tensors.values() if t.quantization is not None]
    assert any(t.is_constant and len(t.quantization.scale) > 1 for t in stored if t.quantization)
    assert any(not t.is_constant for t in stored)
    planned, _ = read_plan(kit.plan_of(conditional()))
    inner = [body for outer in planned.bodies.values() for body in outer.bodies.values()]
    assert len(inner) == 4


def test_contents_that_only_shapes_carry_are_derived_again(kit: Any) -> None:
    network = Network("shapes")
    x = network.add_input("x", "float32", ["N", "C", 4])
    shape = network.add_layer("Shape", [x]).output
    target = network.add_layer("Gather", [shape, np.array([1, 2, 0])]).output
    network.mark_output(network.add_layer("Reshape", [x, target]).output, "y")
    plan = kit.plan_of(network)
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    result = kit.run_plan(plan, Registry.default(), {"x": values})
    np.testing.assert_array_equal(result["y"], values.reshape(3, 4, 2))


# ---- constants ----------------------------------------------------------------------------


def constants_of(planned: PlannedNetwork) -> dict[str, Any]:
    return {n: t.value for n, t in planned.network.tensors.items() if t.is_constant}


def test_constants_of_a_mapped_file_are_aligned_read_only_views(
    tmp_path: Path, registry: Registry
) -> None:
    network = Network("two constants", registry)
    x = network.add_input("x", "float32", [SMALL])
    for count in (SMALL, 1):
        x = network.add_multiply(x, np.full(count, 0.5, np.float32)).output
    network.mark_output(x)
    path = tmp_path / "small.plan"
    with build(network, BuilderConfig(tune="off")) as engine:
        engine.save(path)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    planned, _ = read_plan(mapped, registry)
    memory = np.frombuffer(mapped, np.uint8)
    found = constants_of(planned)
    assert sorted(array.size for array in found.values()) == [1, SMALL]
    for array in found.values():
        # A small one in its place would keep its neighbours in memory.
        assert np.shares_memory(array, memory) == (array.nbytes > SMALL)
        assert array.ctypes.data % 64 == 0
        assert not array.flags.writeable


@pytest.mark.parametrize("shift", [0, 1, 8])
def test_constants_are_aligned_wherever_the_bytes_lie(
    registry: Registry, small_plan: bytes, shift: int
) -> None:
    memory = bytearray(shift) + small_plan
    planned, _ = read_plan(memoryview(memory)[shift:], registry)
    (array,) = {id(a): a for a in constants_of(planned).values()}.values()
    assert array.ctypes.data % 64 == 0
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, [0, 1, 2])


def test_equal_arrays_are_stored_once(kit: Any) -> None:
    def size(second: Any) -> int:
        network = Network("twice")
        x = network.add_input("x", "float32", [4096])
        y = network.add_layer("Multiply", [x, np.ones(4096, np.float32)]).output
        network.mark_output(network.add_layer("Add", [y, second]).output, "y")
        return len(kit.plan_of(network))

    assert size(np.full(4096, 2, np.float32)) - size(np.ones(4096, np.float32)) == 4 * 4096


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0, np.float32),
        np.zeros((0, 3), np.int64),
        np.array([True, False]),
        np.array([1 + 2j], np.complex64),
        np.arange(3, dtype=">i4"),
    ],
    ids=["scalar", "empty", "bool", "complex", "big-endian"],
)
def test_arrays_of_all_sorts_come_back(array: Any, kit: Any) -> None:
    network = Network("constant", kit.local_registry())
    network.add_input("x", "float32", [2])
    taken = network.registry.register(_taker())
    layer = network.add_layer(taken.type, [network.inputs[0], array])
    network.mark_output(layer.output)
    planned = PlannedNetwork(network, {})
    loaded, _ = read_plan(write_plan(planned, EngineInfo()), network.registry)
    (value,) = constants_of(loaded).values()
    assert value.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(value, array)


def _taker() -> type[LayerPlugin]:
    class Taker(LayerPlugin):
        """Takes anything beside its input."""

        type = "Test.Taker"
        input_names = ("x", "other")

        def getOutputDimensions(self, index: int, inputs: Sequence[TensorDesc]) -> Shape:
            return inputs[0].shape

    return Taker


def test_sizes_beyond_the_limits_are_refused_when_writing() -> None:
    network = Network("deep")
    x = network.add_input("x", "float32", ["N"])
    size = x.shape[0]
    for k in range(40):
        size = (size + k) // 3
    network.mark_output(network.add_input("deep", "float32", [size]))
    with pytest.raises(PlanError, match=r"'deep'.*nested too deeply"):
        write_plan(PlannedNetwork(network, {}), EngineInfo())
