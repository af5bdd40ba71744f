"""Boxes against the reference Darknet's, on real pictures: real models, and nets with made-up
weights whose kind of head no real model has."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import plugrt
from plugrt.plugins import Array
from tests.yolo.reference_darknet import DarknetError, ReferenceDarknet
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture
from tests.yolo.reference_darknet.definitions import (
    TREE,
    changed,
    for_one_picture,
    parameters,
    written,
)
from yolo_example.detection import Detection, Detector, open_picture
from yolo_example.parsing import read_model
from yolo_example.parsing.random_weights import write_random_weights

DataPath = Callable[[str], Path]

PICTURES = ("darknet/dog.jpg", "darknet/person.jpg", "faces/2.jpg")
FITTING_PICTURES = ("darknet/person.jpg", "darknet/kite.jpg")
"""They leave no grey frame in a net of 2 : 3, where all cells would have equal scores: which box
then hides which is a matter of luck, in Darknet too."""
THRESHOLD = 0.25
OVERLAP = 0.45
LEAST_IOU = 0.99
SCORE_TOLERANCE = 1e-3


def assert_same(ours: Sequence[Detection], judges: Array, size: tuple[int, int]) -> None:
    """The same classes as often, and for each of ours one of the judge's rows in its place."""
    height, width = size
    assert sorted(found.class_index for found in ours) == sorted(judges[:, 5].astype(int))
    low, high = judges[:, :2] - judges[:, 2:4] / 2, judges[:, :2] + judges[:, 2:4] / 2
    corners = np.clip(np.concatenate([low, high], axis=1), 0, 1) * [width, height, width, height]
    left = list(range(len(judges)))
    for found in ours:
        places = [k for k in left if judges[k, 5] == found.class_index]
        best = max(places, key=lambda k: intersection_over_union(found.box, corners[k]))
        assert intersection_over_union(found.box, corners[best]) >= LEAST_IOU
        assert abs(found.score - judges[best, 4]) <= SCORE_TOLERANCE
        left.remove(best)


def intersection_over_union(a: Sequence[float], b: Sequence[float]) -> float:
    """Of boxes given by left, top, right and bottom; of empty ones 1 where they are the same."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - shared
    return shared / union if union else float(np.allclose(a, b, atol=0.01))


UNKNOWN_TO_DARKNET = {"yoloface-500k-v2": "scale_channels"}
"""Models with a section that only the fork has."""

POINTS = "convolutional filters=16 size=1 activation=linear"
REGION = f"{POINTS}|region classes=3 num=2 anchors=1.5,2.5,3,1"
HEADS = {
    "yolo": (f"{POINTS.replace('16', '14')}|yolo classes=2 num=3 mask=0,2 anchors=30,20,9,9,12,40"),
    "region": f"{REGION} softmax=1",
    "region of logistic classes": REGION,
    "region with a background": f"{REGION} softmax=1 background=1",
    "region of a tree": (
        f"{POINTS.replace('16', '24')}|"
        "region classes=7 num=2 softmax=1 tree=small.tree anchors=1.5,2.5,3,1"
    ),
    "detection": (
        "connected output=208 activation=linear|"
        "detection classes=3 coords=4 side=4 num=2 softmax=0 sqrt=1"
    ),
}


def build(cfg: Path, weights: Path) -> plugrt.Engine:
    return plugrt.build(parse(cfg, weights, "darknet"), plugrt.BuilderConfig(tune="off"))


def without_widened_centres(text: str) -> str:
    """Only the fork knows scale_x_y."""
    return changed(text, lambda _, name, value: "1" if name == "scale_x_y" else value)


def compare_on_pictures(
    engine: plugrt.Engine, cfg: Path, weights: Path, darknet: ReferenceDarknet, pictures: list[Path]
) -> int:
    """How many boxes the pictures have together, all alike in both."""
    stretched = "[detection]" in cfg.read_text(encoding="utf-8")
    detector, count = Detector(engine, letter_box=not stretched), 0
    for path in pictures:
        picture = open_picture(path)
        size = (picture.height, picture.width)
        image = detector.prepare(picture)[0][0]
        # Darknet places the first YOLO's boxes in a stretched picture, and in pixels.
        judges = darknet.detect(
            cfg, weights, image, (1, 1) if stretched else size,
            threshold=THRESHOLD, overlap=OVERLAP, folder=cfg.parent,
        )  # fmt: skip
        assert_same(detector.detect(picture, THRESHOLD, OVERLAP), judges, size)
        count += len(judges)
    return count


@pytest.mark.parametrize("source", parameters("darknet/models"))
def test_real_models(
    source: str, data_path: DataPath, darknet: ReferenceDarknet, tmp_path: Path
) -> None:
    path = data_path(source)
    cfg, weights = tmp_path / path.name, path.with_suffix(".weights")
    text = for_one_picture(path.read_text(encoding="utf-8"))
    cfg.write_text(without_widened_centres(text), encoding="utf-8")
    model = read_model(cfg)
    picture = random_picture(model)
    if path.stem in UNKNOWN_TO_DARKNET:
        with pytest.raises(DarknetError, match=UNKNOWN_TO_DARKNET[path.stem]):
            darknet.predict(cfg, weights, picture)
        return
    with build(cfg, weights) as engine:
        with engine.create_context() as context:
            results = context.execute({"input": picture[np.newaxis]})
        indices = {layer.name: layer.index for layer in model.layers}
        ours = {indices[name]: value[0] for name, value in results.items()}
        assert_close(ours, darknet.predict(cfg, weights, picture, *ours))
        if any(layer.section.name in ("yolo", "region") for layer in model.layers):
            pictures = [data_path(f"images/{name}") for name in PICTURES]
            assert compare_on_pictures(engine, cfg, weights, darknet, pictures)


@pytest.mark.parametrize("head", HEADS)
def test_heads(
    head: str,
    data_path: DataPath,
    darknet: ReferenceDarknet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.tree").write_text(TREE, encoding="utf-8")
    cfg, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    trunk = "convolutional filters=8 size=9 stride=8 pad=1 activation=leaky"
    cfg.write_text(written(f"{trunk}|{HEADS[head]}", "channels=3 height=64 width=96"))
    write_random_weights(read_model(cfg, batch_norm="darknet").layers, 2, weights)
    pictures = [data_path(f"images/{name}") for name in FITTING_PICTURES]
    with build(cfg, weights) as engine:
        assert compare_on_pictures(engine, cfg, weights, darknet, pictures) > 20
