"""Networks of all kinds, chosen by rules, on a GPU beside the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plugrt
from benchmarks.nets import NETS
from plugrt import Network
from tests.cuda.composed_networks import COMPOSED, of_any_size
from tests.cuda.whole_networks import (
    ODD,
    SECTIONS,
    TAKE_ODD,
    benchmark,
    definition,
    deviations,
    distance,
    host_layers,
    on_cpu,
    sections,
    settings,
)
from tests.yolo.reference_darknet.definitions import parameters, resized, small_copy
from tests.yolo.test_every_cfg import REFUSED
from yolo_example.parsing import DarknetParser

pytestmark = pytest.mark.cuda

DataPath = Callable[[str], Path]

ALLOWED = {"fp32": 5e-5, "fp16": 5e-3, "best": 3e-2}
"""Distances in norm by precision; `best` may round to bfloat16 after every layer."""

LARGE = 30_000_000
"""Networks with more weights lose filters here."""

ODD_DEFINITIONS = (
    "pjreddie/extraction", "pjreddie/darknet19", "pjreddie/darknet53", "alexeyab/densenet201",
    "alexeyab/efficientnet_b0", "pjreddie/yolov2-tiny",
)  # fmt: skip

WHOLE_DEFINITIONS = (
    "cfg/alexeyab/yolov4-tiny", "cfg/alexeyab/yolov7-tiny", "cfg/alexeyab/efficientnet_b0",
    "cfg/alexeyab/yolov4-csp-s-mish", "cfg/alexeyab/yolov4_new", "cfg/pjreddie/resnext50",
    "cfg/pjreddie/densenet201", "cfg/pjreddie/yolov2-tiny", "cfg/alexeyab/csresnext50-panet-spp",
    "models/mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc",
)  # fmt: skip

DETECTORS = (
    "cfg/pjreddie/yolov3-tiny", "cfg/alexeyab/yolov4-tiny", "cfg/alexeyab/yolov7-tiny",
    "models/yoloface-500k-v2/yoloface-500k-v2",
)  # fmt: skip

ALIKE = {
    "alexnet", "darknet", "darknet19", "densenet201", "extraction", "resnet152", "resnet50", "tiny",
    "tiny-yolo-voc", "vgg-16", "yolo", "yolo-voc.2.0", "yolov2", "yolov3", "yolov3-tiny_obj",
    "yolov3.coco-giou-12", "yolov4-custom", "yolov4-tiny-custom", "yolov4_new",
}  # fmt: skip
"""The fork's definitions that differ little from others: run by `make test-full` only."""


def differs_little(path: Path) -> bool:
    return path.parent.name == "alexeyab" and path.stem in ALIKE


@pytest.mark.parametrize("name", NETS)
def test_networks_of_the_benchmarks(name: str) -> None:
    assert deviations(lambda: benchmark(name), ALLOWED) == []


@pytest.mark.parametrize("name", COMPOSED)
def test_networks_of_other_kinds(name: str) -> None:
    assert deviations(COMPOSED[name], ALLOWED) == []


@pytest.mark.parametrize("precision", ALLOWED)
def test_pictures_of_all_sizes(precision: str) -> None:
    draw = np.random.default_rng(3)
    with (
        plugrt.build(of_any_size(), settings("cuda", precision)) as engine,
        engine.create_context() as context,
    ):
        assert host_layers(engine) == []
        for sizes in ((1, 3, 32, 48), (2, 3, 33, 47), (1, 3, 64, 20), (3, 3, 7, 9)):
            given = {"x": draw.random(sizes, np.float32)}
            found = context.execute(given)
            for name, wanted in on_cpu(of_any_size(), given).items():
                assert distance(np.asarray(found[name]), wanted) <= ALLOWED[precision], sizes


@pytest.mark.parametrize("name", TAKE_ODD)
def test_odd_sizes(name: str) -> None:
    assert deviations(lambda: benchmark(name, ODD), ALLOWED) == []


@pytest.mark.parametrize("name", SECTIONS)
def test_sections(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert deviations(lambda: sections(name, tmp_path), ALLOWED) == []


@pytest.mark.parametrize("source", parameters("darknet", slow=differs_little))
def test_definitions(source: str, labels_folder: Path, data_path: DataPath) -> None:
    path = data_path(source)
    if f"{path.parent.name}/{path.stem}" in REFUSED:
        pytest.skip("refused, as tests/yolo shows")
    cfg = small_copy(path, labels_folder, narrow_above=LARGE)
    assert deviations(lambda: definition(cfg), ALLOWED) == []


@pytest.mark.parametrize("name", ODD_DEFINITIONS)
def test_definitions_of_odd_sizes(name: str, labels_folder: Path, data_path: DataPath) -> None:
    cfg = small_copy(data_path(f"darknet/cfg/{name}.cfg"), labels_folder, narrow_above=LARGE)
    cfg.write_text(resized(cfg.read_text(encoding="utf-8"), *ODD), encoding="utf-8")
    assert deviations(lambda: definition(cfg), ALLOWED) == []


@pytest.mark.parametrize("name", DETECTORS)
def test_pictures_to_boxes(name: str, labels_folder: Path, data_path: DataPath) -> None:
    cfg = small_copy(data_path(f"darknet/{name}.cfg"), labels_folder, narrow_above=LARGE)

    def make() -> Network:
        parser = DarknetParser(random_weights=1, end_to_end=True, threshold=0.3)
        return parser.parse(cfg, None, Network()).network

    network = make()
    pictures = np.random.default_rng(5).integers(0, 256, (2, 70, 111, 3), np.uint8)
    given = {network.input_names[0]: pictures}
    wanted = on_cpu(network, given)
    with (
        plugrt.build(make(), settings("cuda")) as engine,
        engine.create_context() as context,
    ):
        assert host_layers(engine) == []
        found = context.execute(given)
        np.testing.assert_array_equal(found["counts"], wanted["counts"])
        for ours, theirs in zip(np.asarray(found["boxes"]), wanted["boxes"], strict=True):
            apart = np.abs(ours[:, np.newaxis] - theirs).max(axis=2).min(axis=1)
            assert np.mean(apart < 1e-3) > 0.98  # scores almost equal may be told apart otherwise


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_DEFINITIONS)
def test_definitions_as_they_are(name: str, labels_folder: Path, data_path: DataPath) -> None:
    cfg = data_path(f"darknet/{name}.cfg")
    precisions = {precision: ALLOWED[precision] for precision in ("fp32", "fp16")}
    assert deviations(lambda: definition(cfg), precisions, most=1) == []
