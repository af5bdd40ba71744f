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
from plugrt.core.engine import container
from plugrt.core.engine.plan import (
    EngineInfo,
    read_plan,
    read_requirements,
    revalidate_tactics,
    write_plan,
)
from plugrt.core.graph import Network
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    LayerPlugin,
    PlanError,
    PluginError,
    Shape,
    Tactic,
    TacticRequest,
    TensorDesc,
    attribute,
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
    tmp_path: Path, registry: Registry, small_plan: bytes
) -> None:
    path = tmp_path / "small.plan"
    path.write_bytes(small_plan)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    planned, _ = read_plan(mapped, registry)
    memory = np.frombuffer(mapped, np.uint8)
    found = constants_of(planned)
    assert found
    for array in found.values():
        assert np.shares_memory(array, memory)
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


# ---- plug-ins -----------------------------------------------------------------------------


def test_requirements_name_types_versions_and_distributions(small_plan: bytes) -> None:
    found = {item.type: item for item in read_requirements(small_plan)}
    assert set(found) == {"Test.Affine", "Test.Join", "Test.Flat", "Test.Positive"}
    affine = found["Test.Affine"]
    assert (affine.kind, affine.version, affine.state_version) == ("layers", "2.1", 1)
    assert affine.namespace == "Test"
    assert affine.distribution == ""  # registered by hand, by a module of no distribution


def test_built_ins_come_from_plugrt(kit: Any) -> None:
    for item in read_requirements(kit.plan_of(quantised(), precision="int8")):
        assert item.distribution == "plugrt"
        assert item.distribution_version == EngineInfo().plugrt_version


def install(site: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """A distribution vendor-layers 1.2 with one layer `Vendor.Name` per module."""
    info = site / "vendor_layers-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor-layers\nVersion: 1.2\n")
    points = [f"Vendor.{name.title()} = vendor_{name}:Layer" for name in modules]
    (info / "entry_points.txt").write_text("\n".join(["[plugrt.layers]", *points]))
    for name, source in modules.items():
        (site / f"vendor_{name}.py").write_text(source)
    monkeypatch.syspath_prepend(str(site))


def source(name: str, **members: Any) -> str:
    body = "".join(f"    {key} = {value!r}\n" for key, value in members.items())
    return (
        "from plugrt.plugins import LayerPlugin, attribute\n"
        f"class Layer(LayerPlugin):\n    type = 'Vendor.{name}'\n{body}"
        "    def getOutputDimensions(self, index, inputs):\n        return inputs[0].shape\n"
        "    def enqueue(self, inputs, outputs, workspace, stream):\n"
        "        outputs[0][...] = inputs[0]\n"
    )


def one_layer_plan(kit: Any, type_name: str, registry: Registry) -> bytes:
    network = Network("one", registry)
    x = network.add_input("x", "float32", [2])
    network.mark_output(network.add_layer(type_name, [x], name="only").output)
    return bytes(kit.plan_of(network))


@pytest.fixture
def vendor_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Any) -> bytes:
    """A plan with Vendor.Used of vendor-layers 1.2, which has Vendor.Unused too; afterwards
    neither is imported any more."""
    modules = {"used": source("Used"), "unused": source("Unused")}
    install(tmp_path / "site", monkeypatch, **modules)
    plan = one_layer_plan(kit, "Vendor.Used", Registry.discover())
    monkeypatch.delitem(sys.modules, "vendor_used")
    return plan


def test_requirements_are_read_without_imports(vendor_plan: bytes) -> None:
    (item,) = (r for r in read_requirements(vendor_plan) if r.namespace == "Vendor")
    assert (item.distribution, item.distribution_version) == ("vendor-layers", "1.2")
    assert "vendor_used" not in sys.modules


def test_only_plugins_that_the_plan_names_are_imported(vendor_plan: bytes) -> None:
    read_plan(vendor_plan, Registry.discover())
    assert "vendor_used" in sys.modules
    assert "vendor_unused" not in sys.modules


def test_a_missing_plugin_names_its_distribution(
    vendor_plan: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kit: Any
) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path / "site")])
    text = kit.refusal(vendor_plan, Registry.discover())
    assert "'Vendor.Used'" in text
    assert "pip install vendor-layers==1.2" in text


def test_a_missing_plugin_that_was_registered_by_hand(small_plan: bytes, kit: Any) -> None:
    text = kit.refusal(small_plan, Registry.default())
    assert "'Test." in text
    assert "plugins=" in text


def versioned(version: str, state_version: int, *names: str, migrates: bool = False) -> Registry:
    """A registry with `Test.Versioned`, whose attributes have these names."""
    members: dict[str, Any] = {name: attribute(int, 7) for name in names}

    def shape(self: LayerPlugin, index: int, inputs: Sequence[TensorDesc]) -> Shape:
        return inputs[0].shape

    def migrate(cls: Any, values: dict[str, Any], version: int) -> dict[str, Any]:
        return {"fresh": values["old"] + 100 * version}

    members |= {"type": "Test.Versioned", "version": version, "state_version": state_version}
    members["getOutputDimensions"] = shape
    if migrates:
        members["migrate"] = classmethod(migrate)
    registry = Registry(Registry.default())
    registry.register(type("Versioned", (LayerPlugin,), members))
    return registry


def test_an_older_state_is_migrated(kit: Any) -> None:
    plan = one_layer_plan(kit, "Test.Versioned", versioned("1", 1, "old"))
    newer = versioned("1.10", 2, "fresh", migrates=True)
    planned, _ = read_plan(plan, newer)
    assert planned.network.layers[0].plugin.attribute_values == {"fresh": 107}
    assert "cannot read state version 1" in kit.refusal(plan, versioned("2", 2, "fresh"))


@pytest.mark.parametrize(
    ("version", "state_version", "expected"),
    [("1.9", 1, "'1.9'"), ("1.10", 0, "state version 1"), ("beta", 1, "'beta'")],
)
def test_older_installed_plugins_are_refused(
    version: str, state_version: int, expected: str, kit: Any
) -> None:
    plan = one_layer_plan(kit, "Test.Versioned", versioned("1.10", 1, "old"))
    text = kit.refusal(plan, versioned(version, state_version, "old"))
    assert "Test.Versioned" in text
    assert expected in text


def test_a_newer_interface_is_refused(kit: Any, registry: Registry, small_plan: bytes) -> None:
    def change(sections: dict[str, Any]) -> None:
        sections["info"]["api_version"] += 1
        sections["info"]["plugrt_version"] = "99.1"

    assert "'99.1'" in kit.refusal(kit.forge(small_plan, change), registry)


def test_a_newer_format_is_refused(
    kit: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(container, "FORMAT_VERSION", container.FORMAT_VERSION + 1)
        newer = kit.plan_of(kit.small_network())
    assert "install a newer plugrt" in kit.refusal(newer, registry)


@pytest.mark.parametrize("serialize", [lambda self: 1 / 0, lambda self: "text"])
def test_a_layer_that_cannot_be_serialised_is_named(serialize: Any, kit: Any) -> None:
    network = kit.small_network()
    planned = PlannedNetwork(network, {})
    network.layers[0].plugin.__class__ = type(
        "Broken", (kit.Affine,), {"type": "Test.Affine", "serialize": serialize}
    )
    with pytest.raises(PluginError, match=r"'left' \(Test.Affine\): serialize\(\)"):
        write_plan(planned, EngineInfo())


def test_sizes_beyond_the_limits_are_refused_when_writing() -> None:
    network = Network("deep")
    x = network.add_input("x", "float32", ["N"])
    size = x.shape[0]
    for k in range(40):
        size = (size + k) // 3
    network.mark_output(network.add_input("deep", "float32", [size]))
    with pytest.raises(PlanError, match=r"'deep'.*nested too deeply"):
        write_plan(PlannedNetwork(network, {}), EngineInfo())


# ---- tactics on this machine --------------------------------------------------------------


def retold(plan: bytes, registry: Registry, **change: Any) -> tuple[PlannedNetwork, EngineInfo]:
    """A plan read by a registry whose Test.Affine has these members."""
    planned, info = read_plan(plan, registry)
    for layer in planned.network.layers:
        if layer.plugin.type == "Test.Affine":
            layer.plugin.__dict__.update({k: v.__get__(layer.plugin) for k, v in change.items()})
    return planned, info


def test_tactics_that_are_still_offered_stay(registry: Registry, small_plan: bytes) -> None:
    planned, info = read_plan(small_plan, registry)
    before = [layer.plugin.tactic for layer in planned.network.layers]
    assert revalidate_tactics(planned, registry, False, info) == []
    assert [layer.plugin.tactic for layer in planned.network.layers] == before
    (note,) = revalidate_tactics(planned, registry, True, info)
    assert "another machine" in note


def test_another_tactic_takes_the_place_of_a_missing_one(
    registry: Registry, small_plan: bytes
) -> None:
    configured: list[tuple[Any, ...]] = []

    def offers(self: LayerPlugin, request: TacticRequest) -> list[Tactic]:
        assert request.inputs[0].shape == (4, 3)
        return [Tactic("slow"), Tactic("fast", priority=1), Tactic("hasty", priority=2,
                accumulates_into=1)]  # fmt: skip

    def configure(self: LayerPlugin, inputs: Any, outputs: Any) -> None:
        configured.append((outputs[0].min_shape, outputs[0].shape, outputs[0].max_shape))

    planned, info = retold(small_plan, registry, getTactics=offers, configure=configure)
    notes = revalidate_tactics(planned, registry, False, info)
    assert notes == [
        "left: tactic 'in place' is not offered here; 'fast' runs",
        "right: tactic 'in place' is not offered here; 'fast' runs",
    ]
    assert configured == [((1, 3), (4, 3), (4, 3))] * 2


def test_a_tactic_accepts_only_what_its_plugin_says(
    kit: Any, registry: Registry, small_plan: bytes
) -> None:
    def change(sections: dict[str, Any]) -> None:
        for layer in sections["tuning"][0]["layers"][:2]:
            layer["tactic"]["strided_inputs"] = [0, 1]
            layer["tactic"]["strided_outputs"] = [0]
            layer["tactic"]["may_alias"] = [0, 1]

    planned, info = read_plan(kit.forge(small_plan, change), registry)
    assert planned.network.layers[0].plugin.tactic.strided_outputs
    revalidate_tactics(planned, registry, False, info)
    honest, _ = read_plan(small_plan, registry)
    assert [layer.plugin.tactic for layer in planned.network.layers] == [
        layer.plugin.tactic for layer in honest.network.layers
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"supportsFormat": lambda self, combination: False}, "does not accept"),
        ({"getTactics": lambda self, request: ()}, "offers no tactic"),
        ({"getTactics": lambda self, request: 1 / 0}, "ZeroDivisionError"),
    ],
)
def test_a_layer_that_cannot_run_here_is_named(
    change: dict[str, Any], expected: str, registry: Registry, small_plan: bytes
) -> None:
    planned, info = retold(small_plan, registry, **change)
    with pytest.raises(PlanError, match=expected) as caught:
        revalidate_tactics(planned, registry, True, info)
    assert "layer 'left' (Test.Affine)" in str(caught.value)
