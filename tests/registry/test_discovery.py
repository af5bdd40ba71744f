"""Entry points of real distributions: listing, lazy import, quarantine and conflicts."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from plugrt.plugin_registry import KINDS, Registry
from plugrt.plugins import PluginError

Install = Callable[..., Path]

LAYER = """
    from plugrt.plugins import LayerPlugin, attribute

    class Twice(LayerPlugin):
        type = "Vendor.Twice"
        factor = attribute(float, 2.0, "what the input is multiplied with")
"""
LAYER_POINTS = {"plugrt.layers": {"Vendor.Twice": "vendor_twice:Twice"}}


def test_listing_imports_nothing(install: Install) -> None:
    install("vendor-layers", "1.2", {"vendor_twice": LAYER}, LAYER_POINTS)
    registry = Registry.discover()
    assert "Vendor.Twice" in registry.names("layers")
    found = registry.describe("layers", "Vendor.Twice")
    assert (found.distribution, found.version) == ("vendor-layers", "1.2")
    assert (found.module, found.object_name) == ("vendor_twice", "Twice")
    assert (found.namespace, found.state) == ("Vendor", "available")
    assert found in registry.descriptions("layers")
    assert "vendor_twice" not in sys.modules


def test_a_layer_is_imported_when_first_used(install: Install) -> None:
    install("vendor-layers", "1.2", {"vendor_twice": LAYER}, LAYER_POINTS)
    registry = Registry.discover()
    layer = registry.createPlugin("Vendor.Twice", {"factor": 3})
    assert layer.attribute_values == {"factor": 3.0}
    assert "vendor_twice" in sys.modules
    assert registry.describe("layers", "Vendor.Twice").state == "loaded"
    assert registry.layer("Vendor.Twice") is type(layer)


def test_all_six_groups_are_found(install: Install) -> None:
    source = """
        from plugrt.plugins import *

        class Layer(LayerPlugin):
            type = "V.Layer"

        class Kernel(KernelPlugin):
            name = "V.kernel"
            layer = "V.Layer"
            def getTactics(self, layer, request): return ()
            def enqueue(self, layer, inputs, outputs, workspace, stream): pass

        class Parser(ParserPlugin):
            name = "V.parser"
            @classmethod
            def accepts(cls, path, head): return False
            def parse(self, model, weights, network): ...

        class Pass(PassPlugin):
            name = "V.pass"
            stage = "fuse"
            def run(self, layers): return ()

        class Calibrator(CalibratorPlugin):
            name = "V.calibrator"
            def observe(self, tensor, values): pass
            def ranges(self): return {}

        class Device(DevicePlugin):
            name = "V.device"
            def fingerprint(self): return {}
            def formats(self): return ()
            def check(self): pass
            def open(self, release=None, cache=None): return None
            def tuning_bench(self, registry, threads): return None
    """
    classes = {
        "layers": "Layer", "kernels": "Kernel", "parsers": "Parser", "passes": "Pass",
        "calibrators": "Calibrator", "devices": "Device",
    }  # fmt: skip
    names = {kind: f"V.{KINDS[kind].noun}" for kind in classes}
    names["layers"] = "V.Layer"
    points = {
        f"plugrt.{kind}": {names[kind]: f"v_all:{object_name}"}
        for kind, object_name in classes.items()
    }
    install("v-all", "1", {"v_all": source}, points)
    registry = Registry.discover()
    for kind, object_name in classes.items():
        assert names[kind] in registry.names(kind)
        assert registry.get(kind, names[kind]).__name__ == object_name
    assert [k.__name__ for k in registry.kernels_for("V.Layer")] == ["Kernel"]
    assert registry.kernels_for("V.Other") == []
    assert "Parser" in [p.__name__ for p in registry.parsers()]
    assert "Pass" in [p.__name__ for p in registry.passes("fuse")]
    assert "Pass" not in [p.__name__ for p in registry.passes("simplify")]
    assert "V.device" in registry.devices
    assert registry.devices["V.device"].__name__ == "Device"
    assert registry.calibrators["V.calibrator"].__name__ == "Calibrator"


def test_an_entry_point_added_within_a_minute_is_seen(install: Install) -> None:
    """stevedore's cache on disk would miss it: same files, nearly the same times."""
    site = install("vendor-layers", "1.2", {"vendor_twice": LAYER}, LAYER_POINTS)
    Registry.discover()
    points = next(site.glob("*.dist-info/entry_points.txt"))
    points.write_text(points.read_text() + "\nVendor.Later = vendor_later:Later")
    assert "Vendor.Later" in Registry.discover().names("layers")


@pytest.mark.parametrize(
    ("source", "reason", "in_traceback"),
    [
        ("import a_module_that_nobody_has", "ModuleNotFoundError", "import a_module_that"),
        ("1 / 0", "ZeroDivisionError: division by zero", "1 / 0"),
        ("raise SystemExit(3)", "SystemExit: 3", "raise SystemExit(3)"),
        ("def Bad(): pass", "not a subclass of plugrt.plugins.LayerPlugin", "PluginError"),
        ("Good = 1", "has no attribute 'Bad'", "AttributeError"),
        (
            "from plugrt.plugins import LayerPlugin\n"
            "class Bad(LayerPlugin):\n"
            "    type = 'Vendor.Bad'\n"
            "    def enqueue(self, inputs, outputs): pass\n",
            "Bad.enqueue(self, inputs, outputs) has the wrong signature",
            "PluginError",
        ),
        (
            "from plugrt.plugins import LayerPlugin\n"
            "class Bad(LayerPlugin):\n"
            "    type = 'Vendor.Other'\n",
            "Bad.type is 'Vendor.Other', but its entry point is named 'Vendor.Bad'",
            "PluginError",
        ),
    ],
)
def test_a_bad_plugin_is_quarantined_alone(
    install: Install, source: str, reason: str, in_traceback: str
) -> None:
    install("vendor-layers", "1.2", {"vendor_twice": LAYER}, LAYER_POINTS)
    points = {"plugrt.layers": {"Vendor.Bad": "vendor_bad:Bad"}}
    install("vendor-bad", "0.3", {"vendor_bad": source}, points)
    registry = Registry.discover()
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            registry.layer("Vendor.Bad")
        assert reason in str(caught.value)
        assert "vendor-bad 0.3" in str(caught.value)
        assert "plugrt plugins doctor" in str(caught.value)
    (sick,) = (d for d in registry.quarantined() if d.name == "Vendor.Bad")
    assert (sick.distribution, sick.version, sick.state) == ("vendor-bad", "0.3", "quarantined")
    assert reason in sick.reason
    assert in_traceback in sick.traceback
    assert registry.createPlugin("Vendor.Twice", {}).type == "Vendor.Twice"


def test_listings_of_classes_pass_over_the_quarantined(install: Install) -> None:
    source = """
        from plugrt.plugins import PassPlugin

        class Abstract(PassPlugin):
            name = "Vendor.abstract"

        class Fine(PassPlugin):
            name = "Vendor.fine"
            def run(self, layers): return ()
    """
    points = {
        "plugrt.passes": {
            "Vendor.abstract": "vendor_passes:Abstract",
            "Vendor.fine": "vendor_passes:Fine",
        }
    }
    install("vendor-passes", "1", {"vendor_passes": source}, points)
    registry = Registry.discover()
    names = [item.name for item in registry.passes("simplify")]
    assert "Vendor.fine" in names
    assert "Vendor.abstract" not in names
    assert "does not define run" in registry.describe("passes", "Vendor.abstract").reason


def install_rivals(install: Install) -> None:
    """Distributions zeta, then alpha, then the other spelling of alpha claim one name."""
    for owner in ("zeta-layers", "alpha-layers"):
        module = owner.replace("-", "_")
        source = f"""
            from plugrt.plugins import LayerPlugin

            class Same(LayerPlugin):
                type = "Vendor.Same"
                owner = "{owner}"
        """
        points = {"plugrt.layers": {"Vendor.Same": f"{module}:Same"}}
        install(owner, "1.0", {module: source}, points)


def test_the_newcomer_in_a_conflict_is_quarantined(install: Install) -> None:
    install_rivals(install)
    registry = Registry.discover()
    assert registry.layer("Vendor.Same").owner == "alpha-layers"  # type: ignore[attr-defined]
    first, second = [d for d in registry.descriptions("layers") if d.name == "Vendor.Same"]
    assert (first.distribution, first.state) == ("alpha-layers", "loaded")
    assert (second.distribution, second.state) == ("zeta-layers", "quarantined")
    assert "zeta-layers 1.0 and alpha-layers 1.0 both claim" in second.reason
    assert "PLUGRT_PREFER=Vendor.Same=zeta-layers" in second.reason
    assert "zeta_layers" not in sys.modules


def test_the_built_in_distribution_is_never_the_newcomer(install: Install) -> None:
    install("a-layers", "1", {}, {"plugrt.layers": {"Vendor.Name": "a:Name"}})
    install("plugrt", "99", {}, {"plugrt.layers": {"Vendor.Name": "b:Name"}})
    assert Registry.discover().describe("layers", "Vendor.Name").distribution == "plugrt"


def test_an_explicit_preference_decides_and_is_undone(install: Install) -> None:
    install_rivals(install)
    registry = Registry.discover()
    child = Registry(registry)
    with child.prefer("Vendor.Same", "Zeta_Layers"):
        assert child.layer("Vendor.Same").owner == "zeta-layers"  # type: ignore[attr-defined]
        assert registry.layer("Vendor.Same").owner == "alpha-layers"  # type: ignore[attr-defined]
        sick = [d.distribution for d in child.quarantined() if d.name == "Vendor.Same"]
        assert sick == ["alpha-layers"]
    assert child.layer("Vendor.Same").owner == "alpha-layers"  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"no plug-in 'Vendor.Same'.*alpha-layers, zeta"):
        child.prefer("Vendor.Same", "unheard-of")


def test_a_preference_in_the_environment(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_rivals(install)
    monkeypatch.setenv("PLUGRT_PREFER", " Vendor.Same = zeta-layers , Absent=nobody,")
    registry = Registry.discover()
    assert registry.layer("Vendor.Same").owner == "zeta-layers"  # type: ignore[attr-defined]
    monkeypatch.setenv("PLUGRT_PREFER", "Vendor.Same")
    with pytest.raises(PluginError, match="write Name=distribution"):
        Registry.discover()


def test_a_distribution_found_twice_is_no_conflict(install: Install, tmp_path: Path) -> None:
    install("vendor-layers", "1.2", {"vendor_twice": LAYER}, LAYER_POINTS)
    install("vendor-layers", "1.1", {"vendor_twice": LAYER}, LAYER_POINTS)
    (found,) = [
        d for d in Registry.discover().descriptions("layers") if d.name == "Vendor.Twice"
    ]
    assert found.version == "1.1"  # the first on sys.path
    assert found.state == "available"


def test_a_module_that_asks_the_registry_while_it_is_imported(install: Install) -> None:
    source = """
        from plugrt.plugin_registry import Registry
        from plugrt.plugins import LayerPlugin
        import vendor_host

        Base = vendor_host.registry.layer("Vendor.Twice")

        class Nested(LayerPlugin):
            type = "Vendor.Nested"
    """
    host = "registry = None"
    install("vendor-layers", "1.2", {"vendor_twice": LAYER, "vendor_host": host}, LAYER_POINTS)
    points = {"plugrt.layers": {"Vendor.Nested": "vendor_nested:Nested"}}
    install("vendor-nested", "1", {"vendor_nested": source}, points)
    import vendor_host  # type: ignore[import-not-found]

    vendor_host.registry = registry = Registry.discover()
    assert registry.layer("Vendor.Nested").__name__ == "Nested"


def test_many_threads_get_one_class(install: Install) -> None:
    slow = "import time\ntime.sleep(0.05)\n" + "\n".join(
        line[4:] for line in LAYER.splitlines()
    )
    install("vendor-layers", "1.2", {"vendor_twice": slow}, LAYER_POINTS)
    registry = Registry.discover()
    start = threading.Barrier(8)
    found: list[type] = []

    def ask() -> None:
        start.wait()
        found.append(registry.layer("Vendor.Twice"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_the_default_registry_is_one_and_imports_no_plugin() -> None:
    program = (
        "import sys; from plugrt.plugin_registry import Registry; "
        "r = Registry.default(); assert r is Registry.default(); "
        "[r.names(k) for k in ('layers', 'parsers', 'devices')]; r.descriptions(); "
        "bad = [m for m in sys.modules "
        "if m.startswith(('plugrt.builtin_layers', 'yolo_example'))]; "
        "assert not bad, bad"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_roles_are_filled_by_built_ins_first(install: Install) -> None:
    for owner, name in (("a-layers", "A.Cast"), ("plugrt", "Z.Cast")):
        module = f"role_{owner[0]}"
        source = f"""
            from plugrt.plugins import LayerPlugin

            class Cast(LayerPlugin):
                type = "{name}"
                role = "cast"
        """
        install(owner, "99", {module: source}, {"plugrt.layers": {name: f"{module}:Cast"}})
    registry = Registry.discover()
    assert registry.by_role("cast").type == "Z.Cast"
    assert "role_a" not in sys.modules
    registry.deny("Z.Cast")
    assert registry.by_role("cast").type == "A.Cast"
