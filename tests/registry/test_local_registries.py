"""Registries by hand: registration, factories, denial, substitution and missing names."""

from collections.abc import Mapping
from typing import Any

import pytest

from plugrt.plugin_registry import Registry
from plugrt.plugins import (
    DataType,
    KernelPlugin,
    LayerAttributeError,
    LayerPlugin,
    PassPlugin,
    PluginError,
    attribute,
)


class Leaky(LayerPlugin):
    type = "Leaky"
    slope = attribute(float, 0.01, "factor for negative inputs")


class TwinLeaky(LayerPlugin):
    type = "Twin.Leaky"
    slope = attribute(float, 0.5, "another default")
    gain = attribute(float, 1.0, "of its own")


class Join(LayerPlugin):
    type = "Join"
    input_names = ("inputs*",)


class JoinTwo(LayerPlugin):
    type = "Twin.Join"
    input_names = ("left", "right")


class Convolve(LayerPlugin):
    type = "Convolve"
    input_names = ("input", "weights", "bias?")
    groups = attribute(int, 1)


class Split(LayerPlugin):
    type = "Split"
    parts = attribute(int, 2)

    def getNbOutputs(self) -> int:
        return self.parts


class Caster(LayerPlugin):
    type = "Caster"
    role = "cast"


class Cutter(LayerPlugin):
    type = "Cutter"
    sizes = attribute(tuple[int, ...])

    def getNbOutputs(self) -> int:
        return len(self.sizes)


class MyPass(PassPlugin):
    name = "My.pass"

    def run(self, layers: object) -> tuple[()]:
        return ()


class MyKernel(KernelPlugin):
    name = "My.kernel"
    layer = "Leaky"

    def getTactics(self, layer: LayerPlugin, request: object) -> tuple[()]:
        return ()

    def enqueue(self, *arguments: object) -> None:
        pass


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    for layer in (Leaky, TwinLeaky, Join, JoinTwo, Convolve, Split, Caster, Cutter):
        found.register(layer)
    return found


def variant(base: type[LayerPlugin], **changes: Any) -> type[LayerPlugin]:
    """A layer class that differs from `base` as stated."""
    return type("Variant", (base,), {"type": "Variant", **changes})


# ---- registering ----------------------------------------------------------------------------


def test_an_empty_registry_and_a_child() -> None:
    parent = Registry()
    assert parent.names("layers") == []
    child = Registry(parent)
    assert child.register(Leaky) is Leaky
    child.register(MyPass)
    assert child.names("layers") == ["Leaky"]
    assert child.get("passes", "My.pass") is MyPass
    assert parent.names("layers") == []
    parent.register(Join)
    assert child.names("layers") == ["Join", "Leaky"]
    found = child.describe("layers", "Leaky")
    assert (found.distribution, found.version, found.state) == (None, None, "loaded")
    assert (found.module, found.object_name) == (__name__, "Leaky")


def test_a_taken_name_needs_an_override(registry: Registry) -> None:
    other = type("Other", (Leaky,), {})
    registry.register(Leaky)  # once more is no conflict
    child = Registry(registry)
    with pytest.raises(PluginError, match=r"'Leaky' is registered already.*override=True"):
        child.register(other)
    child.register(other, override=True)
    assert child.layer("Leaky") is other
    assert registry.layer("Leaky") is Leaky


def test_what_breaks_the_contract_is_not_registered() -> None:
    registry = Registry()
    with pytest.raises(PluginError, match="no plug-in class"):
        registry.register(int)
    with pytest.raises(PluginError, match="wrong signature"):
        registry.register(variant(Leaky, configure=lambda self: None))
    with pytest.raises(PluginError, match="does not define run"):
        registry.register(type("Unfinished", (PassPlugin,), {"name": "Unfinished"}))
    with pytest.raises(PluginError, match="no class attribute `name`"):
        registry.register(type("Nameless", (MyPass,), {"name": ""}))
    with pytest.raises(PluginError, match="stage is 'late'; use simplify or fuse"):
        registry.register(type("Late", (MyPass,), {"stage": "late"}))
    with pytest.raises(PluginError, match="no class attribute `layer`"):
        registry.register(type("Kernel", (MyKernel,), {"layer": None}))
    assert registry.descriptions() == []


def test_unknown_kinds(registry: Registry) -> None:
    with pytest.raises(PluginError, match="'layer' is no kind of plug-in; use one of: layers"):
        registry.names("layer")
    with pytest.raises(PluginError, match="no kind"):
        registry.get("things", "x")


# ---- missing names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("Leeky", "Leaky"), ("leaky", "Leaky"), ("Vendor.Convolve", "Convolve"), ("spilt", "Split")],
)
def test_the_closest_name_is_given(registry: Registry, wrong: str, meant: str) -> None:
    with pytest.raises(PluginError) as caught:
        registry.createPlugin(wrong, {})
    assert f"layer {wrong!r} is not registered; did you mean" in str(caught.value)
    assert repr(meant) in str(caught.value)


def test_a_name_like_no_other(registry: Registry) -> None:
    with pytest.raises(PluginError, match="'Quux' is not registered; `plugrt plugins list`"):
        registry.layer("Quux")


def test_a_plan_knows_what_to_install(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"vendor-layers 1.2: pip install vendor-layers==1.2"):
        registry.require("layers", "Vendor.Mish", "vendor-layers", "1.2")
    assert registry.require("layers", "Leaky", "vendor-layers", "1.2") is Leaky


# ---- factories ------------------------------------------------------------------------------


def test_a_factory_is_asked_for_what_nobody_registers(registry: Registry) -> None:
    asked: list[str] = []

    def create(type: str, fields: Mapping[str, Any]) -> LayerPlugin | None:
        asked.append(type)
        return variant(Leaky)(**fields) if type == "Variant" else None

    child = Registry(registry, factory=create)
    grandchild = Registry(child)
    assert grandchild.createPlugin("Variant", {"slope": 0.25}).attribute_values == {"slope": 0.25}
    assert grandchild.layer("Variant").type == "Variant"
    assert child.createPlugin("Leaky", {}).type == "Leaky"
    assert "Leaky" not in asked
    with pytest.raises(PluginError, match="'Unknown' is not registered"):
        child.createPlugin("Unknown", {})


def test_what_a_factory_returns_is_checked(registry: Registry) -> None:
    with pytest.raises(PluginError, match="made 'text' for layer 'X'"):
        Registry(factory=lambda type, fields: "text").createPlugin(  # type: ignore[return-value,arg-type]
            "X", {}
        )
    with pytest.raises(PluginError, match="made a 'Leaky' for layer 'X'"):
        Registry(factory=lambda type, fields: Leaky()).createPlugin("X", {})
    with pytest.raises(PluginError, match="register the class instead"):
        Registry(factory=lambda type, fields: Cutter(**fields)).layer("Cutter")


def test_what_may_be_handed_over_as_plugins() -> None:
    local = Registry()
    assert Registry.of(local) is local
    assert Registry.of(None) is Registry.default()
    assert Registry.of([TwinLeaky]).layer("Twin.Leaky") is TwinLeaky
    assert Registry.of(TwinLeaky).layer("Twin.Leaky") is TwinLeaky
    made = Registry.of(lambda type, fields: TwinLeaky(**fields) if type == "Twin.Leaky" else None)
    assert made.createPlugin("Twin.Leaky", {}).type == "Twin.Leaky"


# ---- denial ---------------------------------------------------------------------------------


def test_denial_is_local_and_undone(registry: Registry) -> None:
    child = Registry(registry)
    denial = child.deny("Leaky")
    for user in (child, Registry(child)):
        with pytest.raises(PluginError, match="'Leaky' is denied in this registry"):
            user.createPlugin("Leaky", {})
        with pytest.raises(PluginError, match="denied"):
            user.admit(Leaky())
        assert user.describe("layers", "Leaky").state == "denied"
    assert registry.createPlugin("Leaky", {}).type == "Leaky"
    denial.undo()
    denial.undo()
    assert child.layer("Leaky") is Leaky
    with child.deny("Leaky"), pytest.raises(PluginError):
        child.layer("Leaky")
    assert child.layer("Leaky") is Leaky
    child.deny("Leaky")
    child.reset()
    assert child.layer("Leaky") is Leaky


def test_undoing_in_any_order(registry: Registry) -> None:
    first, second = registry.deny("Leaky"), registry.deny("Leaky")
    first.undo()
    assert registry.describe("layers", "Leaky").state == "denied"
    second.undo()
    assert registry.describe("layers", "Leaky").state == "loaded"


def test_other_kinds_can_be_denied(registry: Registry) -> None:
    registry.register(MyPass)
    assert registry.passes("simplify") == [MyPass]
    registry.deny("My.pass", kind="passes")
    assert registry.passes("simplify") == []


def test_denying_a_name_that_is_not_there(registry: Registry) -> None:
    with pytest.raises(PluginError, match="did you mean 'Leaky'"):
        registry.deny("Lekay")


# ---- substitution ---------------------------------------------------------------------------


def test_a_substitute_gets_the_attributes_of_the_original(registry: Registry) -> None:
    child = Registry(registry)
    child.deny("Leaky")
    with child.substitute("Leaky", "Twin.Leaky"):
        made = Registry(child).createPlugin("Leaky", {})
        assert isinstance(made, TwinLeaky)
        assert made.attribute_values == {"slope": 0.01, "gain": 1.0}
        assert child.layer("Leaky") is TwinLeaky
        assert child.get("layers", "Leaky") is TwinLeaky
        admitted = child.admit(Leaky(slope=0.3))
        assert isinstance(admitted, TwinLeaky)
        assert admitted.slope == 0.3
        assert child.describe("layers", "Leaky").substitute == "Twin.Leaky"
        with pytest.raises(LayerAttributeError, match="Leaky: unknown attribute 'gain'"):
            child.createPlugin("Leaky", {"gain": 2.0})
        assert registry.layer("Leaky") is Leaky
    with pytest.raises(PluginError, match="denied"):
        child.layer("Leaky")


@pytest.mark.parametrize(
    ("original", "base", "changes", "reason"),
    [
        ("Leaky", LayerPlugin, {}, "it has no attribute 'slope'"),
        ("Leaky", Leaky, {"slope": attribute(int, 1)}, "'slope' is int, not float"),
        ("Leaky", Leaky, {"slope": attribute(float)}, "'slope' has no default"),
        ("Leaky", Leaky, {"must": attribute(DataType)}, "requires the further attribute 'must'"),
        ("Leaky", Leaky, {"input_names": ("a", "b")}, "needs 2 inputs where Leaky needs 1"),
        ("Convolve", Convolve, {"input_names": ("x", "w")}, "at most 2 inputs where Convolve"),
        ("Join", Join, {"input_names": ("a?", "b?")}, "at most 2 inputs where Join takes any"),
        ("Split", Split, {"getNbOutputs": lambda self: 1}, "has 1 outputs where Split has 2"),
        ("Leaky", Caster, {"slope": attribute(float, 0.1)}, "role is cast, not None"),
        ("Leaky", Leaky, {"slope": attribute(float, 1.0, allowed=(1.0,))}, "refuses Leaky's def"),
    ],
)
def test_incompatible_substitutes(
    registry: Registry,
    original: str,
    base: type[LayerPlugin],
    changes: dict[str, Any],
    reason: str,
) -> None:
    registry.register(variant(base, **changes))
    with pytest.raises(PluginError) as caught:
        registry.substitute(original, "Variant")
    assert f"layer 'Variant' cannot substitute {original!r}" in str(caught.value)
    assert reason in str(caught.value)
    assert registry.layer(original).type == original


def test_output_counts_are_compared_where_attributes_are_required(registry: Registry) -> None:
    registry.register(variant(Cutter, getNbOutputs=lambda self: 2))
    registry.substitute("Cutter", "Variant")
    assert registry.createPlugin("Cutter", {"sizes": (1, 2)}).type == "Variant"
    with pytest.raises(PluginError, match="has 2 outputs where Cutter has 3"):
        registry.createPlugin("Cutter", {"sizes": (1, 2, 3)})


def test_optional_inputs_may_be_added(registry: Registry) -> None:
    registry.register(variant(Convolve, input_names=("x", "w?", "b?", "extra?")))
    registry.substitute("Convolve", "Variant")
    assert registry.layer("Convolve").type == "Variant"


def test_chains_are_followed_and_rings_refused(registry: Registry) -> None:
    registry.register(variant(TwinLeaky))
    registry.substitute("Leaky", "Twin.Leaky")
    registry.substitute("Twin.Leaky", "Variant")
    assert registry.layer("Leaky").type == "Variant"
    for name in ("Variant", "Twin.Leaky", "Leaky"):
        with pytest.raises(PluginError, match="cannot substitute"):
            registry.substitute(name, "Leaky")
    parent, child = Registry(), Registry()
    parent.register(Leaky)
    parent.register(variant(Leaky))
    child = Registry(parent)
    child.substitute("Leaky", "Variant")
    parent.substitute("Variant", "Leaky")  # legal there, a ring in the child
    with pytest.raises(PluginError, match="ring: Leaky -> Variant -> Leaky"):
        child.layer("Leaky")
    assert parent.layer("Variant") is Leaky


# ---- roles ----------------------------------------------------------------------------------


def test_layers_are_found_by_role(registry: Registry) -> None:
    assert registry.by_role("cast") is Caster
    with pytest.raises(PluginError, match="no layer has the role 'copy'"):
        registry.by_role("copy")
    registry.register(variant(Caster))
    assert registry.by_role("cast") is Caster
    with registry.substitute("Caster", "Variant"):
        registry.deny("Caster")
        assert registry.by_role("cast").type == "Variant"
    assert registry.by_role("cast").type == "Variant"  # the denied one is passed over
    registry.deny("Variant")
    with pytest.raises(PluginError, match="no layer has the role 'cast'"):
        registry.by_role("cast")
