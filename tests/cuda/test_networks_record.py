"""Networks of all kinds are built by rules for an H200 that is played, and recorded: every layer
has a kernel there, and no launch is one that an H200 refuses. Nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import plugrt
from benchmarks.nets import NETS
from plugrt import Engine, Network
from tests.cuda.composed_networks import COMPOSED
from tests.cuda.played_hopper import PlayedHopper
from tests.cuda.whole_networks import (
    IMAGES,
    ODD,
    SECTIONS,
    TAKE_ODD,
    benchmark,
    definition,
    distance,
    host_layers,
    images,
    on_cpu,
    sections,
    settings,
)
from tests.yolo.reference_darknet.definitions import parameters, small_copy
from tests.yolo.test_every_cfg import LARGE, REFUSED

DataPath = Callable[[str], Path]

GPU_ONLY = {"signals"}
"""What was fused there is not taken apart again: no convolution over three axes takes a softplus
on the host."""

QUICK = ("lenet", "squeezenet1.1")
"""Networks that are built in about a second."""


def record(
    make: Callable[[], Network], hopper: PlayedHopper, precisions: Sequence[str]
) -> None:
    """Build for each precision, and record for one and several images."""
    for precision in precisions:
        network = make()
        given = images(network)
        with (
            plugrt.build(network, settings("cuda", precision)) as engine,
            engine.create_context() as context,
        ):
            assert host_layers(engine) == []
            for count in (1, IMAGES):
                context.execute({name: array[:count] for name, array in given.items()})
        assert hopper.kernels


@pytest.mark.parametrize("name", SECTIONS)
def test_sections(
    name: str, hopper: PlayedHopper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record(lambda: sections(name, tmp_path), hopper, ["fp16"])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NETS],
)
def test_networks_of_the_benchmarks(name: str, hopper: PlayedHopper) -> None:
    record(lambda: benchmark(name), hopper, ["fp32", "best"])


@pytest.mark.parametrize("name", COMPOSED)
def test_networks_of_other_kinds(name: str, hopper: PlayedHopper) -> None:
    record(COMPOSED[name], hopper, ["fp32", "fp16", "best"])


@pytest.mark.parametrize("name", [name for name in COMPOSED if name not in GPU_ONLY])
def test_plans_for_gpus_run_on_the_host(name: str, hopper: PlayedHopper) -> None:
    network = COMPOSED[name]()
    given = images(network)
    wanted = on_cpu(COMPOSED[name](), given)
    with plugrt.build(network, settings("cuda", "fp16")) as engine:
        plan = engine.to_bytes()
    with pytest.warns(RuntimeWarning, match="for the device 'cuda'"):
        engine = Engine.from_bytes(plan, device="cpu")
    with engine, engine.create_context() as context:
        for output, found in context.execute(given).items():
            assert distance(np.asarray(found), wanted[output]) < 2e-2


def test_rules_know_what_conversions_cost(hopper: PlayedHopper) -> None:
    """One image's slices of a concatenation have no gaps in the order of arrays alone; to convert
    for that takes longer than to copy."""
    with plugrt.build(benchmark("squeezenet1.1"), settings("cuda", "fp16")) as engine:
        found = [layer.plugin for layer in engine.planned.network.layers]
    roles = [plugin.role for plugin in found if plugin.role is not None]
    assert roles == ["cast"]  # of the output
    assert sum(plugin.type == "Concatenation" for plugin in found) == 8


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKE_ODD)
def test_odd_sizes(name: str, hopper: PlayedHopper) -> None:
    record(lambda: benchmark(name, ODD), hopper, ["fp32", "fp16"])


@pytest.mark.slow
@pytest.mark.parametrize("source", parameters("darknet"))
def test_definitions(
    source: str, hopper: PlayedHopper, labels_folder: Path, data_path: DataPath
) -> None:
    path = data_path(source)
    if f"{path.parent.name}/{path.stem}" in REFUSED:
        pytest.skip("refused, as tests/yolo shows")
    cfg = small_copy(path, labels_folder, narrow_above=LARGE)
    record(lambda: definition(cfg), hopper, ["fp32", "fp16"])
