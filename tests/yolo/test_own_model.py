"""The model that comes with the project: its files, its quality, and the demo."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import plugrt
from yolo_example.cli import main
from yolo_example.detection import Detector
from yolo_example.evaluation import Evaluation, evaluate, read_dataset
from yolo_example.layers import DetectionLayer
from yolo_example.model import CFG, NAMES, WEIGHTS
from yolo_example.parsing import DarknetParser, WeightsFile, read_model
from yolo_example.parsing.class_names import read_names
from yolo_example.scenes import CLASS_NAMES, HELD_OUT, render_scene
from yolo_example.scenes.dataset import write_dataset
from yolo_example.scenes.scene import HEIGHT, WIDTH

ROOT = Path(__file__).parents[2]
LARGEST = 1_000_000
SCENES = 40


@pytest.fixture(scope="module")
def engine() -> Iterator[plugrt.Engine]:
    """The model, with the values before each head as further outputs."""
    network = plugrt.Network()
    DarknetParser(names=str(NAMES)).parse(CFG, WEIGHTS, network)
    for layer in list(network.layers):
        if isinstance(layer.plugin, DetectionLayer):
            network.mark_output(layer.inputs[0])
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as built:
        yield built


@pytest.fixture(scope="module")
def quality(engine: plugrt.Engine, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("scenes")
    write_dataset(folder, HELD_OUT, range(SCENES))
    detector = Detector(engine, batch_size=8)
    return evaluate(detector, read_dataset(folder, names=detector.names), samples=0)


def test_weights_fit_the_definition_and_are_small() -> None:
    model = read_model(CFG)
    assert not model.notes
    WeightsFile(WEIGHTS, model.layers)
    assert WEIGHTS.stat().st_size <= LARGEST
    assert (model.settings.input.height, model.settings.input.width) == (HEIGHT, WIDTH)


def test_names_are_those_of_the_scenes() -> None:
    assert read_names(NAMES) == CLASS_NAMES


def test_quality_is_as_the_model_card_says(quality: Evaluation) -> None:
    assert quality.images == SCENES
    assert 0.80 < quality.map_50 < 0.95
    assert 0.48 < quality.map < 0.70


def test_no_class_is_neglected(quality: Evaluation) -> None:
    assert {found.name for found in quality.classes} == set(CLASS_NAMES)
    assert min(found.ap_50 for found in quality.classes) > 0.6


def test_values_equal_opencvs(engine: plugrt.Engine) -> None:
    reference = cv2.dnn.readNetFromDarknet(str(CFG), str(WEIGHTS))
    pixels = render_scene(HELD_OUT, 3).pixels
    blob = cv2.dnn.blobFromImage(pixels, 1 / 255, (WIDTH, HEIGHT))
    names = reference.getLayerNames()
    heads = [name for name in names if reference.getLayer(name).type == "Region"]
    reference.setInput(blob)
    # Between the last convolution and its head OpenCV has a permutation.
    expected = reference.forward([names[names.index(head) - 2] for head in heads])
    with engine.create_context() as context:
        results = context.execute({"input": blob})
    before = [
        name for name in engine.outputs if not isinstance(engine.layers[name], DetectionLayer)
    ]
    assert len(before) == len(heads) == 3
    for name, values in zip(before, expected, strict=True):
        difference = np.linalg.norm(results[name].ravel() - values.ravel())
        assert difference <= 1e-4 * np.linalg.norm(values), name


def test_all_heads_find_something(engine: plugrt.Engine) -> None:
    found = dict.fromkeys((k for k, v in engine.layers.items() if isinstance(v, DetectionLayer)), 0)
    detector = Detector(engine)
    with engine.create_context() as context:
        for seed in range(6):
            image, _ = detector.prepare(Image.fromarray(render_scene(HELD_OUT, seed).pixels))
            results = context.execute({"input": image})
            for name in found:
                layer = engine.layers[name]
                assert isinstance(layer, DetectionLayer)
                found[name] += len(layer.decode(results[name][0], 0.4))
    assert len(found) == 3
    assert min(found.values()) > 0


def test_demo_goes_all_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "demo"
    write_dataset(target / "held-out", HELD_OUT, range(90, 92))  # left by an earlier run
    assert main(["demo", "-o", str(target), "--count", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("street.cfg built and tuned in ")
    assert sum("%" in line for line in lines) >= 5
    assert any("preparation" in line and "network" in line and "boxes" in line for line in lines)
    assert any("on 4 held-out scenes" in line and "mAP@0.5" in line for line in lines)
    picture = target / "scene_detections.png"
    assert lines[-1] == f"the annotated picture is {picture}"
    with Image.open(picture) as drawn, Image.open(target / "scene.png") as plain:
        assert drawn.size == plain.size == (2 * WIDTH, 2 * HEIGHT)
        assert np.any(np.asarray(drawn) != np.asarray(plain))


TRAINED = """
import sys
from pathlib import Path
import numpy as np, torch
from yolo_example.training.network import DarknetNetwork
torch.manual_seed(0)
network = DarknetNetwork(Path(sys.argv[1]))
pictures = torch.rand(2, 3, network.height, network.width)
network.module.train()
with torch.no_grad():
    network(pictures)
    network.module.eval()
    outputs = network(pictures)
network.save(Path(sys.argv[2]), 2)
np.savez(sys.argv[3], pictures, *outputs)
"""


def test_training_writes_what_the_parser_reads(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed; only training needs it")
    weights, values = tmp_path / "trained.weights", tmp_path / "values.npz"
    # In a process of its own: PyTorch brings its own threads.
    subprocess.run([sys.executable, "-c", TRAINED, CFG, weights, values], check=True, cwd=ROOT)
    network = plugrt.Network()
    DarknetParser().parse(CFG, weights, network)
    for layer in list(network.layers):
        if isinstance(layer.plugin, DetectionLayer):
            network.mark_output(layer.inputs[0])
    with np.load(values) as arrays:
        pictures, *expected = (arrays[name] for name in arrays.files)
    with (
        plugrt.build(network, plugrt.BuilderConfig(tune="off")) as built,
        built.create_context() as context,
    ):
        results = context.execute({"input": pictures})
        before = [n for n in built.outputs if not isinstance(built.layers[n], DetectionLayer)]
    for name, wanted in zip(before, expected, strict=True):
        assert np.linalg.norm(results[name] - wanted) <= 1e-4 * np.linalg.norm(wanted), name


def test_demo_without_pycocotools_does_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    assert main(["demo", "-o", str(tmp_path), "--count", "1"]) == 2
    printed = capsys.readouterr()
    assert "pip install 'plugrt-yolo[eval]'" in printed.err
    assert "the annotated picture is" in printed.out
