"""`plugrt plugins`: run in processes of their own, with a real third-party distribution."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugrt.commands.plugin_details import capabilities
from plugrt.commands.tables import print_table
from plugrt.plugins import PointwiseLayer

SOURCE = '''
    import os, time
    import numpy as np
    from plugrt.plugins import LayerPlugin, attribute

    class Twice(LayerPlugin):
        """Doubles its input."""

        type = "Vendor.Twice"
        factor = attribute(float, 2.0, "what the input is multiplied with")
        mode = attribute(str, "fast", "how", allowed=("fast", "slow"))

        def getOutputDimensions(self, index, inputs):
            return inputs[0].shape

        def reference(self, inputs):
            return [inputs[0] * np.float32(self.factor)]

        def enqueue(self, inputs, outputs, workspace, stream):
            outputs[0][...] = inputs[0] * np.float32(self.factor)

    class Wrong(Twice):
        type = "Vendor.Wrong"

        def enqueue(self, inputs, outputs, workspace, stream):
            outputs[0][...] = 0

    class Aborts(Twice):
        type = "Vendor.Aborts"

        def getOutputDimensions(self, index, inputs):
            os.abort()

    class Hangs(Twice):
        type = "Vendor.Hangs"

        def getOutputDimensions(self, index, inputs):
            time.sleep(60)
'''
LAYERS = ("Twice", "Wrong", "Aborts", "Hangs")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def plugins(install: Callable[..., Path]) -> Iterator[Command]:
    """`plugrt plugins` with vendor-layers (good) and vendor-bad (unloadable) installed."""
    points = {f"Vendor.{name}": f"vendor_layers:{name}" for name in LAYERS}
    sites = [
        install("vendor-layers", "1.2", {"vendor_layers": SOURCE}, {"plugrt.layers": points}),
        install(
            "vendor-bad", "0.3", {"vendor_bad": "import nobody_has_this"},
            {"plugrt.layers": {"Vendor.Bad": "vendor_bad:Bad"}},
        ),
    ]  # fmt: skip

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, sites))
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        return subprocess.run(
            [sys.executable, "-m", "plugrt", "plugins", *words],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip

    return run


def test_list(plugins: Command) -> None:
    run = plugins("list", "--kind", "layers")
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line.split() for line in run.stdout.splitlines()]
    assert lines[0] == ["kind", "name", "state", "distribution", "version"]
    assert ["layers", "Vendor.Twice", "available", "vendor-layers", "1.2"] in lines
    assert ["layers", "Vendor.Bad", "available", "vendor-bad", "0.3"] in lines


def test_list_as_json(plugins: Command) -> None:
    run = plugins("list", "--json")
    assert (run.returncode, run.stderr) == (0, "")
    (found,) = [item for item in json.loads(run.stdout) if item["name"] == "Vendor.Twice"]
    assert found["module"] == "vendor_layers"
    assert (found["namespace"], found["state"], found["kind"]) == ("Vendor", "available", "layers")


def test_show(plugins: Command) -> None:
    run = plugins("show", "Vendor.Twice")
    assert (run.returncode, run.stderr) == (0, "")
    for text in (
        "vendor-layers 1.2", "Doubles its input.", "NumPy reference", "recordable",
        "factor     float  2.0      what the input is multiplied with",
        "(allowed: 'fast', 'slow')",
    ):  # fmt: skip
        assert text in run.stdout


def test_show_of_what_cannot_be_loaded(plugins: Command) -> None:
    run = plugins("show", "Vendor.Bad")
    assert run.returncode == 1
    assert "quarantined" in run.stdout
    assert "No module named 'nobody_has_this'" in run.stdout


@pytest.mark.parametrize("action", ["show", "check"])
def test_unknown_names(plugins: Command, action: str) -> None:
    run = plugins(action, "Vendor.Twize")
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert "did you mean 'Vendor.Twice'" in line


def test_doctor(plugins: Command) -> None:
    run = plugins("doctor")
    assert run.returncode == 1
    assert "layers Vendor.Bad (vendor-bad 0.3, vendor_bad) is quarantined" in run.stdout
    assert "Traceback (most recent call last):" in run.stdout
    assert "import nobody_has_this" in run.stdout
    assert "oneDNN" in run.stdout
    assert "plugrt.core._runtime" in run.stdout


def test_doctor_names_idle_preferences(plugins: Command) -> None:
    wanted = "Vendor.Twice=Vendor_Layers,Vendor.Twice2=nobody"
    run = plugins("doctor", PLUGRT_PREFER=wanted)
    assert "prefers Vendor.Twice2 of nobody, which provides no such plug-in" in run.stdout
    assert "prefers Vendor.Twice of" not in run.stdout


def test_check(plugins: Command) -> None:
    run = plugins("check", "Vendor.Twice")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[-1] == "Vendor.Twice: passed"


def test_check_of_broken_layers(plugins: Command) -> None:
    run = plugins("check", "Vendor.Wrong", "Vendor.Aborts", "--json")
    assert run.returncode == 1
    wrong, aborts = json.loads(run.stdout)
    assert wrong["passed"] is False
    assert "every tactic and format" in [
        result["check"] for result in wrong["results"] if result["status"] == "failed"
    ]
    assert aborts["passed"] is False
    assert "ended by signal 6" in aborts["problem"]
    assert "getOutputDimensions" in aborts["problem"]


def test_check_of_a_layer_that_hangs(plugins: Command) -> None:
    run = plugins("check", "Vendor.Hangs", "--time-limit", "3")
    assert run.returncode == 1
    assert "not finished within 3 s" in run.stdout


def test_tables_in_pipes_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(sys.stdout, ("name", "b"), [["[x]", "1"], ["longer", ""]], title="t")
    assert capsys.readouterr().out == "t\nname    b\n[x]     1\nlonger\n"


def test_capabilities_of_a_pointwise_layer() -> None:
    assert "pointwise: fuses as an epilogue" in capabilities(PointwiseLayer)
    assert "rewrites the graph" not in capabilities(PointwiseLayer)
