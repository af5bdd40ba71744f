"""Plug-ins of a plan: named in the file, imported on demand, told apart by version."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugrt.core.engine import container
from plugrt.core.engine.plan import (
    EngineInfo,
    read_plan,
    read_requirements,
    write_plan,
)
from plugrt.core.graph import Network
from plugrt.core.runtime.planned import PlannedNetwork
from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    LayerPlugin,
    PluginError,
    Shape,
    TensorDesc,
    attribute,
)

X = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)


def test_requirements_name_types_versions_and_distributions(small_plan: bytes) -> None:
    found = {item.type: item for item in read_requirements(small_plan)}
    assert set(found) == {"Test.Affine", "Test.Join", "Test.Flat", "Test.Positive"}
    affine = found["Test.Affine"]
    assert (affine.kind, affine.version, affine.state_version) == ("layers", "2.1", 1)
    assert affine.namespace == "Test"
    assert affine.distribution == ""  # registered by hand, by a module of no distribution


def test_built_ins_come_from_plugrt(kit: Any) -> None:
    network = Network("built-ins")
    x = network.add_input("x", "float32", [2, 3])
    network.mark_output(network.add_layer("Softmax", [x]).output)
    (item,) = read_requirements(kit.plan_of(network))
    assert (item.type, item.namespace) == ("Softmax", "")
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


def test_a_factory_provides_what_nobody_registered(small_plan: bytes, kit: Any) -> None:
    classes = kit.local_registry()
    factory = Registry(
        Registry.default(),
        factory=lambda name, fields: (
            classes.createPlugin(name, fields) if name.startswith("Test.") else None
        ),
    )
    result = kit.run_plan(small_plan, factory, {"x": X})
    np.testing.assert_allclose(result["y"], kit.small_reference(X), rtol=1e-6)


def test_denials_and_substitutions_hold_for_plans(small_plan: bytes, kit: Any) -> None:
    registry = kit.local_registry()
    other = type("Other", (kit.Affine,), {"type": "Test.Other", "version": "1"})
    registry.register(other)
    with registry.deny("Test.Affine"):
        assert "denied" in kit.refusal(small_plan, registry)
    with registry.substitute("Test.Affine", "Test.Other"):
        planned, _ = read_plan(small_plan, registry)
    assert isinstance(planned.network.layers[0].plugin, other)
    assert planned.network.layers[0].plugin.attribute_values == {"factor": 2.0}


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
