"""Whole networks exported to Caffe: OpenCV computes from the files what plugrt computes."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import pytest

from plugrt import ModelError
from plugrt.plugins import Array
from tests.yolo.caffe_export.support import STANDARD, DataPath, Export, assert_equal
from tests.yolo.reference_darknet.definitions import parameters, small_copy

WIDE = 4_000_000
"""Networks with more weights lose filters."""

NOT_READ = {
    "crnn.train": r"\[crnn\] is not supported",
    "gru": r"\[gru\] is not supported",
    "rnn.train": r"\[rnn\] is not supported",
    "darknet53_448_xnor": "xnor=1 is not supported",
    "tiny-yolo_xnor": "xnor=1 is not supported",
    "cspx-p7-mish": "mask=16 names no anchor",
    "yolov1": r"\[local\] is not supported",
    "yolo9000": "tree",
}
"""Definitions that plugrt does not take; all others can be exported."""


LONG = 8_000
"""Bytes; the networks of longer definitions take their time."""


def is_long(definition: Path) -> bool:
    """Whether to test it with the slow ones."""
    return definition.stat().st_size > LONG


@pytest.mark.parametrize("source", parameters("darknet/cfg", slow=is_long))
def test_every_definition(source: str, data_path: DataPath, tmp_path: Path) -> None:
    path = data_path(source)
    cfg = small_copy(path, tmp_path, narrow_above=WIDE)
    if path.stem in NOT_READ:
        with pytest.raises(ModelError, match=NOT_READ[path.stem]):
            Export(cfg, tmp_path / "net")
        return
    export = Export(cfg, tmp_path / "net")
    picture, ends = export.picture(), export.ends
    assert_equal(export.plugrt_values(picture, ends), export.opencv_values(picture, ends))
    assert STANDARD.issuperset(export.types)


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("source", parameters("darknet/models"))
def test_every_model(source: str, fold: bool, data_path: DataPath, tmp_path: Path) -> None:
    """The files against plugrt, and against OpenCV's own reader of Darknet's files."""
    cfg = data_path(source)
    weights = cfg.with_suffix(".weights")
    export = Export(cfg, tmp_path / cfg.stem, weights, fold=fold)
    picture, ends = export.picture(), export.ends
    exported = export.opencv_values(picture, ends)
    assert_equal(export.plugrt_values(picture, ends), exported)

    reader = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    reader.setInput(picture)
    names = reader.getLayerNames()
    heads = [name for name in names if reader.getLayer(name).type == "Region"]
    before = [names[names.index(head) - 2] for head in heads] or [names[-1]]
    darknets = reader.forward(before)
    assert_equal(exported, dict(zip(ends, darknets, strict=True)))

    caffe = cv2.dnn.readNetFromCaffe(str(export.files.prototxt), str(export.files.caffemodel))
    assert list(caffe.getUnconnectedOutLayersNames()) == ends


class Upsample:
    """A layer of some forks of Caffe, for OpenCV."""

    def __init__(self, parameters: Mapping[str, str], blobs: list[Array]) -> None:
        self.factor = int(parameters["scale"])

    def getMemoryShapes(self, inputs: list[list[int]]) -> list[list[int]]:  # noqa: N802
        images, channels, height, width = inputs[0]
        return [[images, channels, height * self.factor, width * self.factor]]

    def forward(self, inputs: list[Array]) -> list[Array]:
        return [inputs[0].repeat(self.factor, axis=2).repeat(self.factor, axis=3)]


@pytest.fixture
def upsample() -> Iterator[None]:
    """OpenCV knows the layer Upsample."""
    cv2.dnn_registerLayer("Upsample", Upsample)
    yield
    cv2.dnn_unregisterLayer("Upsample")


@pytest.mark.usefixtures("upsample")
def test_an_independent_conversion_has_the_same_values(data_path: DataPath, tmp_path: Path) -> None:
    cfg = data_path("darknet/models/mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc.cfg")
    # It leaves Caffe's eps at 1e-5, which is what the fork of Darknet adds.
    export = Export(cfg, tmp_path / "net", cfg.with_suffix(".weights"), batch_norm="fork")
    other = data_path("caffe/mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc.prototxt")
    picture = cv2.imread(str(data_path("images/darknet/dog.jpg")))
    blob = cv2.dnn.blobFromImage(picture, 1 / 255, (320, 320), swapRB=True)
    reader = cv2.dnn.readNetFromCaffe(str(other), str(other.with_suffix(".caffemodel")))
    reader.setInput(blob)
    expected = reader.forward(["layer69-conv", "layer79-conv"])
    ends = export.ends
    assert_equal(export.opencv_values(blob, ends), dict(zip(ends, expected, strict=True)))
