"""The definitions of Darknet's fork against OpenCV's dnn module, with made-up weights.

Definitions that OpenCV cannot read are left to the reference Darknet, which knows all but one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from plugrt import ModelError
from plugrt.plugins import Array
from tests.yolo.reference_darknet import ReferenceDarknet, opencv
from tests.yolo.reference_darknet.comparing import (
    assert_close,
    parse,
    random_picture,
    run,
)
from tests.yolo.reference_darknet.definitions import parameters, small_copy
from yolo_example.parsing import read_model
from yolo_example.parsing.cfg_reader import Section
from yolo_example.parsing.random_weights import write_random_weights

DataPath = Callable[[str], Path]

WIDE = 10_000_000
"""Networks with more weights lose filters."""

REFUSED = {
    "crnn.train": r"\[crnn\] is not supported",
    "gru": r"\[gru\] is not supported",
    "rnn.train": r"\[rnn\] is not supported",
    "darknet53_448_xnor": "xnor=1 is not supported",
    "tiny-yolo_xnor": "xnor=1 is not supported",
    "cspx-p7-mish": "mask=16 names no anchor",  # the fork reads memory that it never wrote
}
"""What plugrt says of the definitions that it does not take."""

BEYOND_OPENCV = {
    "alexnet": "miscounts the 1 x 2 pixels that a small picture leaves before [connected]",
    "resnet50": "adds layers of equal size only",
    "resnet152": "adds layers of equal size only",
    "vgg-16": "has no [crop]",
}
"""What keeps OpenCV from reading definitions that the first Darknet reads."""

BEYOND_BOTH = "yolov4-sam-mish-csp-reorg-bfm"
"""It has a [reorg3d]. That has a test of its own; the rest of this net is compared with a
[reorg] in its place."""


def known_to_the_first_darknet(path: Path) -> bool:
    """Whether there is a definition of this name among those that the first Darknet judges."""
    return (path.parents[1] / "pjreddie" / path.name).exists()


@pytest.mark.parametrize(
    "source", parameters("darknet/cfg/alexeyab", slow=known_to_the_first_darknet)
)
def test_every_definition(
    source: str, data_path: DataPath, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = data_path(source)
    cfg, weights = small_copy(path, tmp_path, narrow_above=WIDE), tmp_path / "weights"
    if path.stem in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[path.stem]):
            read_model(cfg)
        return
    write_random_weights(read_model(cfg, batch_norm="opencv").layers, 1, weights)
    if path.stem == BEYOND_BOTH:
        assert_beyond_opencv(cfg, weights)
        cfg.write_text(cfg.read_text(encoding="utf-8").replace("[reorg3d]", "[reorg]"))
    if path.stem in BEYOND_OPENCV:
        assert_beyond_opencv(cfg, weights)
        compare_with_darknet(cfg, weights, request.getfixturevalue("darknet"))
    else:
        compare_with_opencv(cfg, weights)


def assert_beyond_opencv(cfg: Path, weights: Path) -> None:
    model = read_model(cfg)
    with pytest.raises(cv2.error):
        opencv.predict(cfg, weights, random_picture(model), [len(model.layers) - 2])


def compare_with_darknet(cfg: Path, weights: Path, darknet: ReferenceDarknet) -> None:
    model = read_model(cfg)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "darknet"), model, picture)
    assert_close(ours, darknet.predict(cfg, weights, picture, *ours))


def compare_with_opencv(cfg: Path, weights: Path) -> None:
    """The values before the heads, those of [softmax], and the boxes of [yolo]; OpenCV drops the
    unlikely ones of [region]."""
    # OpenCV's heads hide scores up to a threshold, by default 0.2.
    text = cfg.read_text(encoding="utf-8")
    cfg.write_text(text.replace("[yolo]", "[yolo]\nthresh=0"), encoding="utf-8")
    model = read_model(cfg)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "opencv"), model, picture)
    kinds = {layer.index: layer.section.name for layer in model.layers}
    compared = {index: value for index, value in ours.items() if kinds[index] != "region"}
    judges = opencv.predict(cfg, weights, picture, compared)
    for index, value in compared.items():
        if kinds[index] == "yolo":
            compared[index] = opencv_rows(model.layers[index].section, picture.shape[1:], value)
    assert_close(compared, judges)


def opencv_rows(section: Section, size: Sequence[int], values: Array) -> Array:
    """The output of [yolo] as rows of centre, size, objectness and scores, for every cell and
    anchor, in a network whose input has this height and width."""
    options = {name: option.value for name, option in section.options.items()}
    anchors = np.asarray([float(item) for item in options["anchors"].split(",")]).reshape(-1, 2)
    anchors = anchors[[int(item) for item in options["mask"].split(",")]]
    height, width = values.shape[1:]
    planes = values.reshape(len(anchors), -1, height, width).transpose(2, 3, 0, 1)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    corners = np.stack([columns, rows], axis=-1)[:, :, np.newaxis]
    squared = options.get("new_coords", "0") != "0"
    sizes = 4 * planes[..., 2:4] ** 2 if squared else np.exp(planes[..., 2:4])
    objectness = planes[..., 4:5]
    parts = [
        (corners + planes[..., :2]) / [width, height],
        sizes * anchors / [size[1], size[0]],
        objectness,
        objectness * planes[..., 5:],
    ]
    return np.concatenate(parts, axis=-1)
