"""Plug-ins of third parties on a GPU: CUDA source of their own, and other libraries on the given
stream, as docs/write-a-layer.md shows them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Network, Registry
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.testing import check_layer
from tests.cuda.documented import documented_names

from .sample_layers import HostIncrement

pytestmark = pytest.mark.cuda

X = np.random.default_rng(0).standard_normal((2, 3, 5, 7), np.float32)

GUESTS = {
    "ByCupy": "cupy", "ByTorch": "torch", "ByCudaCore": "cuda.core", "ByTriton": "triton",
}  # fmt: skip
"""Layer -> the module that it needs."""


@pytest.fixture(params=GUESTS)
def guest(request: pytest.FixtureRequest) -> Any:
    """A layer class that doubles."""
    pytest.importorskip(GUESTS[request.param])
    if request.param == "ByTriton":
        return import_module("tests.cuda.triton_layer").ByTriton
    return documented_names()[request.param]


def test_a_guest_records_on_the_stream(guest: Any) -> None:
    np.testing.assert_array_equal(run_on_gpu(guest(), [X])[0], 2 * X)


def test_a_guest_is_a_node_of_the_engines_graph(guest: Any) -> None:
    """Between layers of ours, at two sizes, in two contexts."""
    registry = Registry(Registry.default())
    registry.register(guest)
    network = Network("guest", registry)
    x = network.add_input("x", "float32", ["N", 3, 5, 7])
    y = network.add_layer("Sigmoid", [x]).output
    y = network.add_layer(guest.type, [y], name="guest").output
    y = network.add_layer("Transpose", [y], permutation=(0, 2, 3, 1)).output
    network.mark_output(y, "y")
    config = BuilderConfig(device="cuda", tune="off", threads=2)
    with plugrt.build(network, config) as engine:
        assert not [line for line in engine.report if "runs on the host" in line]
        with engine.create_context() as first, engine.create_context() as second:
            for context in (first, second):
                for array in (X, np.concatenate([X, X + 1]), X + 2):
                    wanted = (2 / (1 + np.exp(-array))).transpose(0, 2, 3, 1)
                    for _ in range(2):
                        found = context.execute({"x": array})["y"]
                        np.testing.assert_allclose(found, wanted, rtol=1e-6)
            recording = first.recording({"x": X.shape})
            (variant,) = recording.segments[0].variants.values()
            (step,) = variant.recording.instance().steps
            assert isinstance(step, Graph)


def test_the_documented_layer_keeps_the_contract() -> None:
    names = documented_names()
    report = check_layer(names["CentreChannels"], names["registry"], device="cuda")
    assert report.passed, [result for result in report.results if result.status == "failed"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_documented_layer_gets_types_and_formats(precision: str) -> None:
    names = documented_names()
    network = Network("centre", names["registry"])
    x = network.add_input("x", "float32", [2, 16, 6, 5])
    weights = np.random.default_rng(1).standard_normal((16, 16, 1, 1), np.float32) / 4
    y = network.add_convolution(x, weights).output
    y = network.add_layer("Acme.CentreChannels", [y], name="centre").output
    network.mark_output(network.add_convolution(y, weights).output, "y")
    image = np.random.default_rng(2).standard_normal((2, 16, 6, 5), np.float32)
    (wanted,) = network.reference([image])
    config = BuilderConfig(device="cuda", precision=precision, threads=2)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        found = context.execute({"x": image})["y"]
        assert not [line for line in engine.report if "runs on the host" in line]
        (layer,) = [one for one in engine.planned.network.layers if one.name == "centre"]
        assert precision == "fp32" or layer.output.dtype.value != "float32"
    tolerance = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 1e-1}[precision]
    np.testing.assert_allclose(found, np.asarray(wanted), atol=tolerance)


def test_a_numpy_layer_runs_on_the_host_between_two_graphs() -> None:
    registry = Registry(Registry.default())
    registry.register(HostIncrement)
    network = Network("host", registry)
    x = network.add_input("x", "float32", ["N", 8])
    y = network.add_layer("ReLU", [x]).output
    y = network.add_layer("Test.HostIncrement", [y], name="increment").output
    network.mark_output(network.add_layer("Tanh", [y]).output, "y")
    config = BuilderConfig(device="cuda", tune="off", threads=2)
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        assert [line for line in engine.report if line.startswith("increment: runs on the host")]
        for rows in (1, 4, 1):
            given = np.random.default_rng(rows).standard_normal((rows, 8), np.float32)
            wanted = np.tanh(np.maximum(given, 0) + 1)
            np.testing.assert_allclose(context.execute({"x": given})["y"], wanted, rtol=1e-5)
