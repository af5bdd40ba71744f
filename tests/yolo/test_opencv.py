"""Real Darknet models against OpenCV's dnn module, an independent reader of the same files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

import plugrt
from plugrt.plugins import Array
from yolo_example.detection import Detector, open_picture
from yolo_example.layers import DetectionLayer, Region
from yolo_example.parsing import DarknetParser

DataPath = Callable[[str], Path]

MODELS = {
    "fastest": "yolo-fastest-1.1/yolo-fastest-1.1",
    "fastest-xl": "yolo-fastest-1.1-xl/yolo-fastest-1.1-xl",
    "mobilenet": "mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc",
    "face-v1": "yoloface-500k-v1/yoloface-500k",
    "face-v2": "yoloface-500k-v2/yoloface-500k-v2",
    "lite-3": "yolo-lite-trial3-nobatch-voc/tiny-yolov2-trial3-noBatch",
    "lite-7": "yolo-lite-trial7-voc/tiny-yolov2-trial7",
}
PICTURES = ["darknet/dog.jpg", "darknet/person.jpg", "darknet/kite.jpg", "faces/2.jpg"]
THRESHOLD = 0.25
OVERLAP = 0.45
REGION_OVERLAP = 0.4
"""OpenCV's region layer suppresses boxes itself, always at this value."""


@dataclass
class Pair:
    """One model in both programs."""

    engine: plugrt.Engine
    reference: cv2.dnn.Net
    heads: dict[str, DetectionLayer]
    before: dict[str, str]

    @property
    def overlap(self) -> float:
        is_region = any(isinstance(layer, Region) for layer in self.heads.values())
        return REGION_OVERLAP if is_region else OVERLAP


@pytest.fixture(scope="module", params=MODELS)
def pair(
    request: pytest.FixtureRequest,
    data_path: DataPath,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    """A model built by plugrt and read by OpenCV."""
    cfg = data_path(f"darknet/models/{MODELS[request.param]}.cfg")
    weights = cfg.with_suffix(".weights")
    network = plugrt.Network()
    DarknetParser().parse(cfg, weights, network)
    heads, before = {}, {}
    for layer in list(network.layers):
        if isinstance(layer.plugin, DetectionLayer):
            heads[layer.name] = layer.plugin
            before[layer.name] = layer.inputs[0].name
            network.mark_output(layer.inputs[0])
    # OpenCV's region layer drops scores below the definition's threshold.
    text = cfg.read_text(encoding="utf-8").replace("thresh = .5", f"thresh = {THRESHOLD}")
    copy = tmp_path_factory.mktemp("opencv") / cfg.name
    copy.write_text(text, encoding="utf-8")
    reference = cv2.dnn.readNetFromDarknet(str(copy), str(weights))
    # Tuning takes its time: the choice of the tactics matters to one of them.
    config = plugrt.BuilderConfig(tune="fast" if request.param == "fastest" else "off")
    with plugrt.build(network, config) as engine:
        yield Pair(engine, reference, heads, before)


def blob_of(pair: Pair, picture: Path) -> Array:
    """The input tensor for both."""
    _, _, height, width = pair.engine.inputs["input"].shape
    image = cv2.imread(str(picture))
    return cv2.dnn.blobFromImage(image, 1 / 255, (width, height), swapRB=True, crop=False)


def reference_outputs(pair: Pair, blob: Array) -> tuple[list[Array], list[Array]]:
    """OpenCV's values before each head (the convolution comes two layers earlier), and those
    of the heads, rows of centre, size, objectness and scores."""
    names = pair.reference.getLayerNames()
    heads = [n for n in names if pair.reference.getLayer(n).type == "Region"]
    convolutions = [names[names.index(head) - 2] for head in heads]
    pair.reference.setInput(blob)
    outputs = pair.reference.forward(convolutions + heads)
    return list(outputs[: len(heads)]), list(outputs[len(heads) :])


def reference_boxes(rows: Array, overlap: float) -> Array:
    """Rows of centre, size, score, class: OpenCV's boxes after its own suppression."""
    found = []
    for label in range(rows.shape[1] - 5):
        scores = rows[:, 5 + label]
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
        kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), THRESHOLD, overlap)
        found += [[*rows[k, :4], scores[k], label] for k in np.asarray(kept, int).ravel()]
    return np.asarray(found, np.float32).reshape(-1, 6)


def intersection_over_union(a: Array, b: Array) -> float:
    low = np.maximum(a[:2] - a[2:4] / 2, b[:2] - b[2:4] / 2)
    high = np.minimum(a[:2] + a[2:4] / 2, b[:2] + b[2:4] / 2)
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / float(a[2] * a[3] + b[2] * b[3] - shared)


@pytest.mark.parametrize("picture", PICTURES)
def test_values_and_boxes_equal_opencvs(pair: Pair, picture: str, data_path: DataPath) -> None:
    blob = blob_of(pair, data_path(f"images/{picture}"))
    with pair.engine.create_context() as context:
        results = context.execute({"input": blob})
    values, rows = reference_outputs(pair, blob)
    for name, expected in zip(pair.before.values(), values, strict=True):
        difference = np.linalg.norm(results[name].ravel() - expected.ravel())
        assert difference <= 1e-4 * np.linalg.norm(expected), name

    boxes = Detector(pair.engine).boxes(results, THRESHOLD, pair.overlap)
    wanted = reference_boxes(np.concatenate(rows), pair.overlap)
    assert sorted(boxes[:, 5]) == sorted(wanted[:, 5])
    for box in boxes:
        candidates = wanted[wanted[:, 5] == box[5]]
        best = max(candidates, key=lambda other: intersection_over_union(box, other))
        assert intersection_over_union(box, best) >= 0.99
        assert abs(box[4] - best[4]) <= 1e-3


def test_the_dog_the_bicycle_and_the_car(data_path: DataPath) -> None:
    cfg = data_path(f"darknet/models/{MODELS['fastest']}.cfg")
    names = str(cfg.with_name("coco.names"))
    network = plugrt.Network()
    DarknetParser(names=names).parse(cfg, cfg.with_suffix(".weights"), network)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        plan = engine.to_bytes()
    with plugrt.Engine.from_bytes(plan) as engine:
        picture = open_picture(data_path("images/darknet/dog.jpg"))
        for letter_box in (False, True):
            found = Detector(engine, letter_box=letter_box).detect(picture)
            assert {"dog", "bicycle", "car"} <= {detection.name for detection in found}


def test_a_classifier_agrees_with_opencv(data_path: DataPath) -> None:
    cfg = data_path("darknet/models/mnist_lenet/mnist_lenet.cfg")
    weights = cfg.with_suffix(".weights")
    network = plugrt.Network()
    DarknetParser().parse(cfg, weights, network)
    reference = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    images = np.random.default_rng(5).random((3, 3, 28, 28), np.float32)
    config = plugrt.BuilderConfig(tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        result = context.execute({"input": images})["009_softmax"]
    assert result.shape == (3, 10)
    for image, scores in zip(images, result, strict=True):
        reference.setInput(image[np.newaxis])
        np.testing.assert_allclose(scores, reference.forward()[0], atol=1e-6)
