"""On a GPU a network whose layers are all third-party twins is the same engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.asked_times import AskedTimes, tell_of_networks
from benchmarks.plugin_tax import renamed
from plugrt import BuilderConfig, Registry, TimingCache, build
from plugrt.builtin_layers import cublaslt_product
from plugrt.builtin_layers.convolution import cudnn_candidate
from plugrt.core.devices.cuda.device import CudaDevice
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import DataType, Epilogue, Format, TacticRequest
from plugrt.testing import check_layer
from tests.third_party.test_same_tactics import CONVOLUTIONS, EPILOGUES, Pair, described
from tests.third_party.test_substitution import assert_same, detector, outcome, types

pytestmark = pytest.mark.cuda

LAST = Format.CHANNELS_LAST


@pytest.fixture
def registry(third_parties: Path) -> Registry:
    """Everything installed, the third parties included."""
    return Registry.discover()


@pytest.fixture
def twins(registry: Registry) -> dict[str, str]:
    """Layer type -> type of its twin."""
    names = registry.names("layers")
    own = {name.removeprefix("Darknet."): name for name in names if not name.startswith("Twins.")}
    found = {name: name.removeprefix("Twins.") for name in names if name.startswith("Twins.")}
    return {own[plain]: twin for twin, plain in found.items() if plain in own}


@pytest.fixture
def taken_over(registry: Registry, twins: dict[str, str]) -> Registry:
    """A registry that denies what has a twin, and uses the twin instead."""
    local = Registry(registry)
    for original, twin in twins.items():
        local.deny(original)
        local.substitute(original, by=twin)
    return local


@pytest.fixture(autouse=True)
def few_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries propose dozens of plans, and each takes a quarter of a second to build."""
    monkeypatch.setattr(cudnn_candidate, "MOST_PLANS", 2)
    monkeypatch.setattr(cublaslt_product, "MOST_ALGORITHMS", 2)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("batch", [1, 3])
def test_by_rules_both_engines_are_the_same(
    registry: Registry, taken_over: Registry, twins: dict[str, str], precision: str, batch: int
) -> None:
    config = BuilderConfig(
        device="cuda", precision=precision, tune="off", threads=2, max_batch_size=batch
    )
    with build(detector(registry), config) as engine:
        assert not types(engine) & set(twins.values())
        assert not [line for line in engine.report if "runs on the host" in line]
        built_in = outcome(engine, batch)
    with build(detector(taken_over), config) as engine:
        assert not types(engine) & set(twins)
        assert not [line for line in engine.report if "runs on the host" in line]
        twin = outcome(engine, batch)
    assert_same(built_in, twin)


def test_tuned_by_one_cache_both_engines_are_the_same(
    registry: Registry, taken_over: Registry, twins: dict[str, str]
) -> None:
    """The twins find every time that was measured with the built-in layers."""
    cache = TimingCache(CudaDevice().fingerprint())
    config = BuilderConfig(device="cuda", precision="fp16", threads=2, timing_cache=cache)
    with build(detector(registry), config) as engine:
        assert engine.explanation.tuning["measured"] > 0
        built_in = outcome(engine, 1)
    shared = renamed(cache, twins)
    asked = AskedTimes(shared.seconds)
    shared.seconds = asked
    by_rules = BuilderConfig(
        device="cuda", precision="fp16", threads=2, tune="off", timing_cache=shared
    )
    build(detector(taken_over), by_rules).close()
    shared.seconds = dict(asked)
    tell_of_networks(shared, cache.seconds, asked.missing)
    config = BuilderConfig(device="cuda", precision="fp16", threads=2, timing_cache=shared)
    with build(detector(taken_over), config) as engine:
        assert engine.explanation.tuning["measured"] == 0
        twin = outcome(engine, 1)
    assert_same(built_in, twin)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", [DataType.FLOAT16, DataType.FLOAT32])
def test_convolutions_by_libraries_and_by_own_kernels(
    registry: Registry, name: str, dtype: DataType
) -> None:
    channels, filters, size, attributes = CONVOLUTIONS[name]
    pair = Pair(registry, "Convolution", "Twins.Convolution", **attributes)
    random = np.random.default_rng(0)
    per_group = channels // attributes.get("groups", 1)
    shapes = ((2, channels, 13, 14), (filters, per_group, size, size), (filters,))
    arrays = [random.standard_normal(shape).astype(dtype.numpy) for shape in shapes]
    constants = [replace(described(array), value=array) for array in arrays[1:]]
    source = described(arrays[0], LAST)
    output = replace(pair.output([source, *constants]), format=LAST)
    for epilogue in (EPILOGUES["leaky"], EPILOGUES["residual"]):
        operands = [random.standard_normal(output.sizes).astype(dtype.numpy)] * epilogue.operands
        descs = [source, *constants, *[replace(output, value=None)] * epilogue.operands]
        request = TacticRequest(tuple(descs), (output,), epilogue, "cuda")
        offers = [list(layer.getTactics(request)) for layer in pair.layers]
        assert offers[0] == offers[1] != []
        for tactic in offers[0]:
            results = [
                run_on_gpu(
                    layer.clone(), [*arrays, *operands], inputs=descs, outputs=[output],
                    constants=[1, 2], tactic=tactic, epilogue=epilogue,
                )[0]
                for layer in pair.layers
            ]  # fmt: skip
            np.testing.assert_array_equal(results[1], results[0], err_msg=tactic.name)


def test_yolo_computes_the_same_bits(registry: Registry) -> None:
    values = np.random.default_rng(0).normal(0, 30, (2, 21, 6, 5)).astype(np.float32)
    values.reshape(-1)[:4] = np.nan, np.inf, -np.inf, -0.0
    sizes = {"classes": 2, "anchors": (10, 13, 16, 30, 33, 23)}
    for further in ({}, {"scale_x_y": 1.2}, {"new_coords": True}):
        pair = Pair(registry, "Darknet.Yolo", "Twins.Yolo", **sizes, **further)
        for dtype, layout in ((DataType.FLOAT32, Format.LINEAR), (DataType.FLOAT16, LAST)):
            given = values.astype(dtype.numpy)
            options = {
                "inputs": [described(given, layout)], "outputs": [described(values)],
                "epilogue": Epilogue(),
            }  # fmt: skip
            first, second = (run_on_gpu(layer, [given], **options)[0] for layer in pair.layers)
            np.testing.assert_array_equal(second.view(np.uint32), first.view(np.uint32))


@pytest.mark.parametrize("name", ["Int8Scale", "Yolo", "Sum", "Mish", "MaxPooling"])
def test_twins_keep_the_contract(registry: Registry, name: str) -> None:
    report = check_layer(f"Twins.{name}", registry, device="cuda")
    assert report.passed, [r for r in report.results if r.status == "failed"]
