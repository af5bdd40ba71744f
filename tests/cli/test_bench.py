"""`plugrt bench`: numbers that hang together, for plans and models."""

import json

import numpy as np
import pytest

from plugrt.commands.measurement import random_inputs
from plugrt.plugins import DataType, TensorDesc, symbol


def test_plan(small_plan, tmp_path, succeeds):
    file = tmp_path / "bench.json"
    printed = succeeds(
        "bench", small_plan, "--seconds", "0.05", "--batch", 2, "--threads", 1, "--layers",
        "--json", file,
    )  # fmt: skip
    found = json.loads(file.read_text())
    assert found["inputs"] == {"image": [2, 16, 8, 8]}
    assert (found["threads"], found["batch"]) == (1, 2)
    latency = found["latency"]
    assert 0 < latency["minimum"] <= latency["p10"] <= latency["median"] <= latency["p90"]
    assert latency["runs"] >= 5
    assert found["throughput"] == pytest.approx(2 * latency["runs"] / latency["seconds"])
    assert latency["seconds"] >= 0.05
    assert found["memory"]["arena"] >= found["memory"]["live_maximum"] > 0
    assert found["memory"]["packed_weights"] > 0
    assert found["memory"]["peak_of_running"] > 2**23  # Python and NumPy alone
    assert sum(layer["seconds"] for layer in found["layers"]) > 0
    assert f"{latency['median'] * 1e3:.3f} ms" in printed
    assert "conv1" in printed


def test_model(toy, succeeds):
    printed = succeeds(
        "bench", toy, "--seconds", "0.01", "--batch", 3, "--cut-off", 1, "--tune", "off",
        "--sizes", "5",
    )  # fmt: skip
    assert "x 3x5" in printed
    assert "items/s" in printed
    assert "unoptimised" in printed


def test_a_model_is_compared_with_itself_unoptimised(toy, tmp_path, succeeds):
    file = tmp_path / "results.json"
    model = ("bench", toy, "--sizes", "16,8,8", "--seconds", "0.02", "--json", file)
    printed = succeeds(*model, "--precision", "bf16", "--threads", 1)
    found = json.loads(file.read_text())
    plain = found["unoptimised"]
    assert (found["precision"], plain["precision"]) == ("bf16", "fp32")
    assert found["inputs"] == plain["inputs"]
    assert plain["threads"] == 1
    gain = plain["latency"]["median"] / found["latency"]["median"]
    (line,) = (line for line in printed.splitlines() if line.startswith("latency, median"))
    assert line.split()[-1] == f"{gain:.2f}x"
    assert f"{plain['latency']['median'] * 1e3:.3f} ms" in line
    printed = succeeds(*model, "--no-comparison")
    assert "unoptimised" not in printed
    assert "unoptimised" not in json.loads(file.read_text())


@pytest.mark.parametrize("is_plan", [False, True])
def test_throughput_mode(toy, small_plan, tmp_path, succeeds, is_plan):
    file = tmp_path / "results.json"
    printed = succeeds(
        "bench", small_plan if is_plan else toy, "--seconds", "0.05", "--throughput",
        "--contexts", 3, "--batch", 2, "--json", file,
    )  # fmt: skip
    pool = json.loads(file.read_text())["throughput_mode"]
    assert (pool["contexts"], pool["threads"]) == (3, 1)
    assert pool["runs"] >= 5
    assert pool["throughput"] == pytest.approx(2 * pool["runs"] / pool["seconds"])
    assert f"{pool['throughput']:.1f} items/s, 3 contexts of 1 thread" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "fp32"], "--precision decides how a model is built"),
        (["--deny", "Add"], "--deny decides"),
        (["--cut-off", "1"], "--cut-off decides"),
        (["--parser", "toy"], "--parser decides"),
        (["weights"], "leave WEIGHTS out"),
        (["--no-comparison"], "--no-comparison decides"),
        (["--contexts", "2"], "--contexts is for --throughput alone"),
        (["--batch", "9"], "1 to 4"),
        (["--seconds", "0"], "seconds above zero"),
        (["--seed", "-1"], "'-1' is not possible"),
        (["--json", "/nonexistent/x.json"], "there is no folder"),
    ],
)
def test_refusals(options, message, small_plan, refused):
    assert message in refused("bench", small_plan, *options)


def test_results_never_replace_the_plan(small_plan, refused):
    content = small_plan.read_bytes()
    assert "would be lost" in refused("bench", small_plan, "--json", small_plan)
    assert small_plan.read_bytes() == content


def test_random_inputs_are_repeatable_and_legal():
    descs = {
        "image": TensorDesc(DataType.FLOAT32, (symbol("N"), 3)),
        "index": TensorDesc(DataType.of("int64"), (100,)),
        "mask": TensorDesc(DataType.of("bool"), (100,)),
    }
    found = random_inputs(descs, {"N": 2}, seed=5)
    again = random_inputs(descs, {"N": 2}, seed=5)
    other = random_inputs(descs, {"N": 2}, seed=6)
    for name, desc in descs.items():
        assert found[name].dtype == desc.dtype.numpy
        np.testing.assert_array_equal(found[name], again[name])
    assert found["image"].shape == (2, 3)
    assert set(found["index"]) == {0, 1}
    assert not np.array_equal(found["image"], other["image"])
