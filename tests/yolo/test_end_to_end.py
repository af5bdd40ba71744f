"""Detectors as one network, pictures in and boxes out: the same objects as stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import plugrt
from plugrt import BuilderConfig, Engine, ModelError, Network, PlugrtError, ShapeProfile
from plugrt.plugins import Array, ParsedModel
from yolo_example.detection import Detector, open_picture
from yolo_example.model import CFG, NAMES, WEIGHTS
from yolo_example.parsing import DarknetParser, end_to_end, why_not_end_to_end
from yolo_example.scenes import HELD_OUT, render_scene

WriteCfg = Callable[[str], Path]

NET = "[net]\nchannels=3\nheight=32\nwidth=48\n"
VALUES = "[convolutional]\nfilters={}\nsize=3\nstride=4\npad=1\nactivation=linear\n"
HEADS = {
    "yolo": VALUES.format(14)
    + "[yolo]\nmask=0,1\nanchors=4,6, 8,5, 10,12\nnum=3\nclasses=2\nscale_x_y=1.1\n"
    + "nms_kind=diounms\nbeta_nms=0.4\n",
    "new_coords": VALUES.format(14).replace("linear", "logistic")
    + "[yolo]\nanchors=40,60, 80,50\nnum=2\nclasses=2\nnew_coords=1\nnms_kind=greedynms\n",
    "region": VALUES.format(16) + "[region]\nanchors=2,3, 1,2\nnum=2\nclasses=3\nsoftmax=1\n",
    "background": VALUES.format(16)
    + "[region]\nanchors=2,3, 1,2\nnum=2\nclasses=3\nsoftmax=1\nbackground=1\n",
    "logistic": VALUES.format(16) + "[region]\nanchors=2,3, 1,2\nnum=2\nclasses=3\n",
    "two": VALUES.format(14) + "[yolo]\nmask=2,1\nanchors=4,6, 8,5, 10,12\nnum=3\nclasses=2\n"
    + "[route]\nlayers=-2\n[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"
    + "[yolo]\nmask=0\nanchors=4,6, 8,5, 10,12\nnum=3\nclasses=2\n",
}  # fmt: skip
GAUSSIAN = VALUES.format(22) + "[Gaussian_yolo]\nanchors=4,6, 8,5\nnum=2\nclasses=2\n"
UNTUNED = BuilderConfig(tune="off")


def parsed(cfg: Path, weights: Path | None = None, **options: Any) -> ParsedModel:
    if weights is None:
        options["random_weights"] = 0
    return DarknetParser(**options).parse(cfg, weights, Network())


def engine_of(cfg: Path, weights: Path | None = None, **options: Any) -> Engine:
    return plugrt.build(parsed(cfg, weights, **options).network, UNTUNED)


def scenes(*sizes: tuple[int, int]) -> list[Array]:
    """Pictures of these heights and widths."""
    return [
        render_scene(HELD_OUT, seed, width, height).pixels
        for seed, (height, width) in enumerate(sizes)
    ]


@pytest.fixture(scope="module")
def separate() -> Iterator[Engine]:
    """The project's own model, stage by stage."""
    with engine_of(CFG, WEIGHTS, names=str(NAMES)) as engine:
        yield engine


@pytest.fixture(scope="module")
def whole() -> Iterator[Engine]:
    """The same as one network."""
    options = {"end_to_end": True, "threshold": 0.1}
    with engine_of(CFG, WEIGHTS, names=str(NAMES), **options) as engine:
        yield engine


# ---- equal to the stages ------------------------------------------------------------------


def test_the_own_model_finds_the_same(separate: Engine, whole: Engine) -> None:
    pictures = scenes((256, 448), (256, 448), (200, 300), (256, 448))
    expected = Detector(separate, batch_size=2).detect_many(pictures, 0.1)
    detector = Detector(whole, batch_size=2)
    assert detector.is_end_to_end
    assert not Detector(separate).is_end_to_end
    assert sum(map(len, expected)) > 20
    assert detector.detect_many(pictures) == expected
    assert detector.detect_many(map(Image.fromarray, pictures)) == expected
    higher = Detector(separate).detect_many(pictures, 0.4)
    assert detector.detect_many(pictures, 0.4) == higher != expected
    assert min(vars(detector.timing).values()) > 0


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("letter_box", [False, True])
@pytest.mark.parametrize("nms_kind", [None, "default"])
def test_every_kind_of_head_finds_the_same(
    head: str, letter_box: bool, nms_kind: str | None, write_cfg: WriteCfg
) -> None:
    cfg = write_cfg(NET + HEADS[head])
    pictures = scenes((40, 90), (64, 20))
    threshold = {"background": 0.3, "logistic": 0.3}.get(head, 0.2)
    with engine_of(cfg) as engine:
        stages = Detector(engine, letter_box=letter_box, nms_kind=nms_kind)
        expected = stages.detect_many(pictures, threshold, 0.3)
    network = end_to_end(
        parsed(cfg).network, threshold=threshold, overlap=0.3, letter_box=letter_box,
        nms_kind=nms_kind,
    )  # fmt: skip
    with plugrt.build(network, UNTUNED) as engine:
        detector = Detector(engine, nms_kind=None)
        assert detector.letter_box is letter_box
        found = detector.detect_many(pictures)
    assert found == expected
    assert all(len(one) > 3 for one in found)


@pytest.mark.parametrize(
    "model", ["mobilenetv2-yolov3-nano-voc", "yolo-fastest-1.1", "yolo-lite-trial7-voc"]
)
def test_real_models_find_the_same(model: str, data_path: Callable[[str], Path]) -> None:
    folder = data_path(f"darknet/models/{model}")
    (cfg,), (weights,) = folder.glob("*.cfg"), folder.glob("*.weights")
    files = sorted(data_path("images/darknet").glob("*.jpg"))
    pictures = [open_picture(path) for path in files[:4]]
    with engine_of(cfg, weights) as engine:
        expected = Detector(engine).detect_many(pictures, 0.25)
    with engine_of(cfg, weights, end_to_end=True) as engine:
        assert Detector(engine).detect_many(pictures) == expected
    assert sum(map(len, expected)) > 3


# ---- the network and its plan -------------------------------------------------------------


def test_inputs_and_outputs(whole: Engine) -> None:
    assert {name: str(desc) for name, desc in whole.inputs.items()} == {
        "pictures": "uint8[Nxheightxwidthx3]"
    }
    assert {name: str(desc) for name, desc in whole.outputs.items()} == {
        "boxes": "float32[Nx256x6]", "counts": "int64[N]"
    }  # fmt: skip
    assert whole.metadata["class_names"].splitlines()[0] == Detector(whole).names[0]


def test_a_plan_keeps_everything(whole: Engine) -> None:
    (picture,) = scenes((256, 448))
    with Engine.from_bytes(whole.to_bytes()) as loaded:
        assert Detector(loaded).detect(picture) == Detector(whole).detect(picture)


def test_profiles_limit_the_sizes_of_pictures(write_cfg: WriteCfg) -> None:
    network = parsed(write_cfg(NET + HEADS["yolo"]), end_to_end=True, threshold=0.2).network
    profile = ShapeProfile((1, 16, 16, 3), (1, 40, 90, 3), (2, 64, 128, 3))
    config = BuilderConfig(tune="off", profiles={"pictures": profile})
    with plugrt.build(network, config) as engine:
        detector = Detector(engine)
        assert detector.batch_size == 2
        assert detector.detect(scenes((40, 90))[0])
        with pytest.raises(plugrt.ShapeError, match="built for 16 to 64"):
            detector.detect(scenes((80, 90))[0])


def test_pictures_of_one_size_and_four_bytes_a_pixel(write_cfg: WriteCfg) -> None:
    cfg = write_cfg(NET + HEADS["region"])
    pictures = scenes((40, 90), (40, 90))
    with plugrt.build(end_to_end(parsed(cfg).network, threshold=0.2), UNTUNED) as engine:
        expected = Detector(engine).detect_many(pictures)
    network = end_to_end(parsed(cfg).network, threshold=0.2, picture_size=(40, 90), depth=4)
    with plugrt.build(network, UNTUNED) as engine:
        assert str(engine.inputs["pictures"]) == "uint8[Nx40x90x4]"
        assert Detector(engine).detect_many(pictures) == expected


class Foreign:
    """An array of another library."""

    def __init__(self, values: Array) -> None:
        self._values = values
        self.shape = values.shape

    def __getitem__(self, index: Any) -> Foreign:
        return Foreign(self._values[index])

    def __dlpack__(self, **options: Any) -> Any:
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()


def test_arrays_of_other_libraries_are_taken_as_they_are(whole: Engine) -> None:
    pictures = scenes((256, 448), (256, 448))
    detector = Detector(whole, batch_size=2)
    expected = detector.detect_many(pictures)
    assert detector.detect_many(map(Foreign, pictures)) == expected
    assert detector.detect_many([pictures[0], Foreign(pictures[1])]) == expected
    with pytest.raises(plugrt.ShapeError, match=r"array \[256, 448\]; give uint8"):
        detector.detect(Foreign(pictures[0][..., 0]))


# ---- what cannot be asked -----------------------------------------------------------------


def test_what_the_build_decided_stays(whole: Engine) -> None:
    (picture,) = scenes((256, 448))
    detector = Detector(whole)
    with pytest.raises(PlugrtError, match=r"threshold=0\.05 is below 0\.1"):
        detector.detect(picture, 0.05)
    with pytest.raises(PlugrtError, match=r"overlap=0\.3 is not possible.*overlap=0\.45"):
        detector.detect(picture, 0.2, 0.3)
    with pytest.raises(PlugrtError, match="letter_box=True"):
        Detector(whole, letter_box=True)
    with pytest.raises(PlugrtError, match="nms_kind='diounms'"):
        Detector(whole, nms_kind="diounms")
    with pytest.raises(PlugrtError, match="batch_size=0"):
        Detector(whole, batch_size=0)


def test_networks_without_such_heads_stay_as_they_are(write_cfg: WriteCfg) -> None:
    cfg = write_cfg(NET + GAUSSIAN)
    model = parsed(cfg, end_to_end=True)
    assert [note for note in model.notes if "boxes found outside the network" in note]
    assert "Darknet.GaussianYolo is none of" in str(why_not_end_to_end(model.network))
    with pytest.raises(ModelError, match="GaussianYolo"):
        end_to_end(model.network)
    with plugrt.build(model.network, UNTUNED) as engine:
        assert not Detector(engine).is_end_to_end


def test_other_networks_are_refused() -> None:
    network = Network()
    image = network.add_input("input", "float32", ("N", 3, 16, 24))
    network.mark_output(network.add_layer("Negate", [image], "negated").output)
    assert why_not_end_to_end(network) == "output 'negated' is not that of a yolo or region layer"
    network = Network()
    vector = network.add_input("input", "float32", ("N", 12))
    network.mark_output(network.add_layer("Negate", [vector]).output)
    assert why_not_end_to_end(network) == "it does not take pictures of one size"


def test_heads_that_others_read_are_refused(write_cfg: WriteCfg) -> None:
    network = parsed(write_cfg(NET + HEADS["yolo"])).network
    network.mark_output(network.add_layer("Negate", [network.outputs[0]], "more").output)
    assert "'more' reads it, too" in str(why_not_end_to_end(network))
