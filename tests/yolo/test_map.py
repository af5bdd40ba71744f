"""Mean average precision of the real models against that of OpenCV's dnn module."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import plugrt
from plugrt.plugins import Array
from yolo_example.detection import Detection, Detector, Timing
from yolo_example.evaluation import (
    Dataset,
    Evaluation,
    evaluate,
    map_by_name,
    read_dataset,
    same_classes,
)
from yolo_example.layers import Region
from yolo_example.parsing import DarknetParser
from yolo_example.parsing.class_names import read_names

DataPath = Callable[[str], Path]

THRESHOLD = 0.001
OVERLAP = 0.45
REGION_OVERLAP = 0.4
"""OpenCV's region layer suppresses boxes itself, always at this value."""
SAMPLES = 300
CLOSE = 0.002
"""Both give the same boxes, but for the order of nearly equal scores."""

COCO_MODELS = {
    "fastest": "yolo-fastest-1.1/yolo-fastest-1.1",
    "fastest-xl": "yolo-fastest-1.1-xl/yolo-fastest-1.1-xl",
}
VOC_MODELS = {
    "mobilenet": "mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc",
    "lite-3": "yolo-lite-trial3-nobatch-voc/tiny-yolov2-trial3-noBatch",
    "lite-7": "yolo-lite-trial7-voc/tiny-yolov2-trial7",
}
COCO_NAMES_OF_VOC = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


class OpenCvDetector:
    """The same model in OpenCV, with OpenCV's own suppression of boxes."""

    batch_size = 1
    timing = Timing()

    def __init__(self, cfg: Path, weights: Path, size: tuple[int, int], names: Sequence[str]):
        self.names = tuple(names)
        self._net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
        self._outputs = self._net.getUnconnectedOutLayersNames()
        self._size = size

    def detect_many(
        self, pictures: Iterable[Image.Image], threshold: float, overlap: float
    ) -> list[list[Detection]]:
        """The objects in each picture."""
        return [list(self._detect(picture, threshold, overlap)) for picture in pictures]

    def _detect(
        self, picture: Image.Image, threshold: float, overlap: float
    ) -> Iterator[Detection]:
        blob = cv2.dnn.blobFromImage(np.asarray(picture), 1 / 255, self._size, crop=False)
        self._net.setInput(blob)
        rows = np.concatenate(self._net.forward(self._outputs))
        rows = rows[rows[:, 4] > threshold]
        for label in range(rows.shape[1] - 5):
            scores = rows[:, 5 + label]
            corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
            kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), threshold, overlap)
            for k in np.asarray(kept, int).ravel():
                box = _in_picture(rows[k], picture.width, picture.height)
                yield Detection(label, self.names[label], float(scores[k]), box)


def _in_picture(row: Array, width: int, height: int) -> tuple[float, float, float, float]:
    """Corners in pixels, cut to the picture."""
    half = row[2:4] / 2
    low, high = np.clip(row[:2] - half, 0, 1), np.clip(row[:2] + half, 0, 1)
    return (
        float(low[0] * width),
        float(low[1] * height),
        float(high[0] * width),
        float(high[1] * height),
    )


@pytest.fixture(scope="module")
def dataset(data_path: DataPath) -> Dataset:
    """All COCO pictures that there are, with COCO's names."""
    names = read_dataset(data_path("images/coco/config.yaml")).names
    return read_dataset(data_path("images/coco"), names=names)


def compare(
    cfg: Path, names: Sequence[str], dataset: Dataset, folder: Path
) -> tuple[Evaluation, Evaluation]:
    """The evaluations of one model in plugrt and in OpenCV."""
    network = plugrt.Network()
    weights = cfg.with_suffix(".weights")
    DarknetParser().parse(cfg, weights, network)
    is_region = any(isinstance(layer.plugin, Region) for layer in network.layers)
    overlap = REGION_OVERLAP if is_region else OVERLAP
    mapping = same_classes(dataset.names)
    if len(names) != len(dataset.names):
        mapping = map_by_name(names, dataset.names, COCO_NAMES_OF_VOC)
    # OpenCV drops scores below the definition's threshold, or 0.2 where it has none.
    lines = [line for line in cfg.read_text("utf-8").splitlines() if "thresh = " not in line]
    heads = ("[yolo]", "[region]")
    copy = folder / cfg.name
    copy.write_text(
        "\n".join(f"{line}\nthresh={THRESHOLD}" if line in heads else line for line in lines)
    )
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        detector = Detector(engine, names=names, letter_box=False)
        size = (detector.input.width, detector.input.height)
        ours, theirs = (
            evaluate(
                either, dataset, threshold=THRESHOLD, overlap=overlap, mapping=mapping,
                samples=SAMPLES,
            )
            for either in (detector, OpenCvDetector(copy, weights, size, names))
        )  # fmt: skip
    return ours, theirs


def check(ours: Evaluation, theirs: Evaluation) -> None:
    """OpenCV's value is within our interval, and as close as equal boxes make it."""
    assert ours.objects == theirs.objects
    assert ours.map_50_interval is not None
    assert ours.map_interval is not None
    assert ours.map_50_interval.low <= theirs.map_50 <= ours.map_50_interval.high
    assert ours.map_interval.low <= theirs.map <= ours.map_interval.high
    assert ours.map_50 == pytest.approx(theirs.map_50, abs=CLOSE)
    assert ours.map == pytest.approx(theirs.map, abs=CLOSE)


@pytest.mark.parametrize("model", ["fastest", pytest.param("fastest-xl", marks=pytest.mark.slow)])
def test_map_equals_opencvs(
    model: str, dataset: Dataset, data_path: DataPath, tmp_path: Path
) -> None:
    cfg = data_path(f"darknet/models/{COCO_MODELS[model]}.cfg")
    names = read_names(data_path("darknet/labels/coco.names"))
    ours, theirs = compare(cfg, names, dataset, tmp_path)
    assert ours.images == 48
    assert 0.3 < ours.map_50 < 0.7
    check(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("model", VOC_MODELS)
def test_map_of_voc_models_equals_opencvs(
    model: str, dataset: Dataset, data_path: DataPath, tmp_path: Path
) -> None:
    cfg = data_path(f"darknet/models/{VOC_MODELS[model]}.cfg")
    names = read_names(data_path("darknet/labels/voc.names"))
    ours, theirs = compare(cfg, names, dataset, tmp_path)
    assert len(ours.mapping.names) == 20
    assert ours.map_50 > 0.1
    check(ours, theirs)
