"""`plugrt inspect`: the description must be true, complete and checkable."""

import json
import subprocess
import sys

import pytest

import plugrt
from plugrt.core.engine.plan import read_plan, write_plan

LAYER_KEYS = {
    "position", "name", "type", "version", "role", "tactic", "kernel", "fused", "inputs",
    "outputs", "in_place", "slices", "views", "workspace",
}  # fmt: skip


@pytest.fixture
def described(small_plan, succeeds):
    def describe(*options):
        return json.loads(succeeds("inspect", small_plan, "--json", *options))

    return describe


def test_keys(described, small_plan):
    found = described()
    assert set(found) == {
        "file", "name", "precision", "threads", "api_version", "device", "profiles", "sizes",
        "inputs", "outputs", "layers", "memory", "metadata", "requires",
    }  # fmt: skip
    assert found["file"] == {
        "name": str(small_plan), "bytes": small_plan.stat().st_size, "code_bytes": 0
    }  # fmt: skip
    assert found["profiles"] == {"N": {"minimum": 1, "optimum": 4, "maximum": 4}}
    assert found["inputs"] == [{"name": "image", "type": "float32", "shape": ["N", 16, 8, 8]}]
    assert [port["name"] for port in found["outputs"]] == ["features", "gate/ü"]
    assert all(set(layer) == LAYER_KEYS for layer in found["layers"])


def test_layers_are_those_of_the_engine(described, small_plan):
    with plugrt.Engine.load(small_plan) as engine:
        expected = {
            layer.name: (layer.plugin.type, layer.plugin.tactic.name, layer.fused)
            for layer in engine.planned.network.layers
        }
    found = described()["layers"]
    assert {x["name"]: (x["type"], x["tactic"], x["fused"]) for x in found} == expected
    told = [name for layer in found for name in (layer["name"], *layer["fused"])]
    assert {"conv0", "leaky0", "add0", "conv2", "leaky2", "add2", "gate"} <= set(told)


@pytest.mark.parametrize("options", [[], ["--shape", "image=1x16x8x8"]])
def test_lifetimes_prove_the_arena(options, described):
    found = described(*options)
    memory, layers = found["memory"], found["layers"]
    ranges = memory["lifetimes"]
    rounded = [-(-item["bytes"] // 64) * 64 for item in ranges]
    alive = [
        sum(
            size
            for item, size in zip(ranges, rounded, strict=True)
            if item["first"] <= layer["position"] <= item["last"]
        )
        for layer in layers
    ]
    assert max(alive) == memory["live_maximum"]
    ends = [item["offset"] + size for item, size in zip(ranges, rounded, strict=True)]
    assert max(ends) == memory["arena"]
    assert memory["ratio"] == pytest.approx(memory["arena"] / memory["live_maximum"])
    for k, one in enumerate(ranges):
        for m, other in enumerate(ranges[:k]):
            together = one["first"] <= other["last"] and other["first"] <= one["last"]
            apart = ends[m] <= one["offset"] or ends[k] <= other["offset"]
            assert apart or not together
    in_arena = [
        tensor["memory"]
        for layer in layers
        for tensor in layer["outputs"]
        if tensor["memory"]["where"] == "arena"
    ]
    assert in_arena
    assert all(t["offset"] + t["bytes"] <= memory["arena"] for t in in_arena)
    assert memory["without_sharing"] == sum(t["bytes"] for t in in_arena)


def test_shapes_and_memory_follow_the_input(described):
    at_best, at_one = described(), described("--shape", "image=1x16x8x8")
    assert (at_best["sizes"], at_one["sizes"]) == ({"N": 4}, {"N": 1})
    assert at_best["layers"][0]["inputs"][0]["shape"] == [4, 16, 8, 8]
    assert at_one["layers"][0]["inputs"][0]["shape"] == [1, 16, 8, 8]
    assert at_one["memory"]["arena"] < at_best["memory"]["arena"]
    assert at_one["memory"]["weights"] == at_best["memory"]["weights"] >= 3 * 16 * 16 * 9 * 4


def test_peak(described, small_plan):
    memory = described()["memory"]
    assert memory["packed_weights"] >= memory["weights"]
    assert memory["peak"] == memory["arena"] + memory["packed_weights"]
    workspaces = [layer["workspace"] for layer in described()["layers"]]
    assert memory["workspace"] == max(workspaces)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("image=5x16x8x8", "1 to 4"),
        ("image=1x16x8", "1x16x8"),
        ("picture=1x16x8x8", "'picture'"),
        ("image=axb", "1x3x416x416"),
        ("image", "INPUT=DIMS"),
    ],
)
def test_wrong_shapes(shape, message, small_plan, refused):
    assert message in refused("inspect", small_plan, "--shape", shape)


def test_text_tells_the_same(small_plan, described, succeeds):
    printed = succeeds("inspect", small_plan)
    found = described()
    for layer in found["layers"]:
        row = next(x for x in printed.splitlines() if x.startswith(f"{layer['position']} "))
        assert layer["name"] in row
        assert layer["type"] in row
        assert layer["tactic"] in row
        assert all(name in row for name in layer["fused"])
    assert "4x16x8x8" in printed
    assert "Layers at N=4" in printed
    assert "N 1:4:4" in printed
    assert f"{found['memory']['ratio']:.2f}x" in printed


def test_requirements_name_distributions(small_plan, described, succeeds):
    found = json.loads(succeeds("inspect", small_plan, "--requires", "--json"))
    assert found == {"requires": described()["requires"]}
    by_type = {item["type"]: item for item in found["requires"]}
    assert set(by_type) == {layer["type"] for layer in described()["layers"]}
    for item in by_type.values():
        assert item["kind"] == "layers"
        assert item["distribution"] == "plugrt"
        assert item["distribution_version"] == plugrt.__version__
    printed = succeeds("inspect", small_plan, "--requires")
    assert "Convolution" in printed
    assert plugrt.__version__ in printed


def test_requirements_import_no_plug_in(small_plan):
    program = (
        "import sys; from plugrt.cli import main\n"
        f"assert main(['inspect', '--requires', {str(small_plan)!r}]) == 0\n"
        "print([name for name in sys.modules if name.startswith('plugrt.builtin_layers.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_damage_is_one_line(small_plan, tmp_path, refused):
    content = bytearray(small_plan.read_bytes())
    damaged = tmp_path / "damaged.plan"
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert str(damaged) in refused("inspect", damaged)
    damaged.write_bytes(content[: len(content) // 3])
    assert "truncated" in refused("inspect", damaged)


def test_machine_code_is_told(small_plan, succeeds, tmp_path):
    coded = tmp_path / "coded.plan"
    planned = read_plan(small_plan.read_bytes())
    coded.write_bytes(write_plan(*planned, {"ab" * 32: bytes(2000), "cd" * 32: bytes(48)}))
    assert json.loads(succeeds("inspect", coded, "--json"))["file"]["code_bytes"] == 2048
    assert "machine code" in succeeds("inspect", coded)
    assert "machine code" not in succeeds("inspect", small_plan)
