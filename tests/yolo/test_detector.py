"""The detector: pictures one by one and in batches, timings, what it refuses."""

from collections.abc import Iterator
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image

import plugrt
from plugrt import PlanError, PlugrtError, ShapeError
from plugrt.plugins import Array, DimLike
from yolo_example.detection import Detector, Preparation
from yolo_example.preparation import PictureInput

HEIGHT, WIDTH = 16, 24


def build(
    batch: DimLike | str = "N", channels: int = 3, max_batch_size: int | None = None,
    **head: object,
) -> plugrt.Engine:  # fmt: skip
    """Pixels become the values of a yolo layer."""
    network = plugrt.Network()
    image = network.add_input("input", "float32", (batch, channels, HEIGHT, WIDTH))
    values = image
    if channels == 1:  # more channels at fewer pixels
        values = network.add_layer("Darknet.Reorg", [values], order="blocks").output
    values = network.add_layer("Darknet.Reorg", [values], order="blocks").output
    anchors = (4, 6, 8, 5)
    classes = (12 if channels == 3 else 16) // 2 - 5
    values = network.add_layer(
        "Darknet.Yolo", [values], name="002_yolo", classes=classes, names=("cat", "dog", "cow"),
        anchors=anchors, image_size=(HEIGHT, WIDTH), **head,
    ).output  # fmt: skip
    network.mark_output(values)
    return plugrt.build(network, plugrt.BuilderConfig(tune="off", max_batch_size=max_batch_size))


@pytest.fixture
def engine() -> Iterator[plugrt.Engine]:
    with build() as engine:
        yield engine


def pictures(count: int) -> list[Array]:
    random = np.random.default_rng(8)
    sizes = [(20 + 7 * n, 50 - 3 * n, 3) for n in range(count)]
    return [random.integers(0, 256, size, np.uint8) for size in sizes]


def test_pillow_and_numpy_are_the_same_to_it(engine: plugrt.Engine) -> None:
    detector = Detector(engine)
    (picture,) = pictures(1)
    found = detector.detect(picture, 0.3, 0.3)
    assert len(found) > 3
    assert found == detector.detect(Image.fromarray(picture), 0.3, 0.3)
    for detection in found:
        left, top, right, bottom = detection.box
        assert 0 <= left < right <= picture.shape[1]
        assert 0 <= top < bottom <= picture.shape[0]
        assert detection.name == ("cat", "dog", "cow")[detection.class_index]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 9])
@pytest.mark.parametrize(
    ("batch", "max_batch_size", "used"), [("N", None, 4), ("N", 3, 3), (2, None, 2), (6, None, 6)]
)
def test_batches_change_nothing(
    count: int, batch: DimLike | str, max_batch_size: int | None, used: int
) -> None:
    with build() as one_by_one:
        single = Detector(one_by_one, batch_size=1)
        expected = [single.detect(picture, 0.3) for picture in pictures(count)]
    with build(batch, max_batch_size=max_batch_size) as engine:
        detector = Detector(engine, batch_size=4)
        assert detector.batch_size == used
        assert detector.detect_many(iter(pictures(count)), 0.3) == expected
        assert detector.detect_many(pictures(count), 0.3) == expected


def test_pictures_are_taken_as_they_are_needed(engine: plugrt.Engine) -> None:
    detector = Detector(engine, batch_size=2)
    taken = []

    def read() -> Iterator[Array]:
        for number, picture in enumerate(pictures(3)):
            taken.append(number)
            yield picture
        raise PlugrtError("the fourth cannot be read")

    with pytest.raises(PlugrtError, match="fourth"):
        detector.detect_many(read())
    assert taken == [0, 1, 2]


def test_a_profile_without_single_pictures_is_filled_up() -> None:
    network = plugrt.Network()
    image = network.add_input("input", "float32", ("N", 3, HEIGHT, WIDTH))
    network.mark_output(network.add_layer("Negate", [image]).output)
    shapes = [(n, 3, HEIGHT, WIDTH) for n in (3, 4, 5)]
    config = plugrt.BuilderConfig(
        tune="off", profiles={"input": plugrt.ShapeProfile(shapes[0], shapes[1], shapes[2])}
    )
    with plugrt.build(network, config) as engine:
        found = PictureInput.of(engine)
    assert (found.least_batch, found.largest_batch) == (3, 5)
    assert [found.batch_size(wanted) for wanted in (1, 3, 4, 9)] == [3, 3, 4, 5]


def test_the_times_of_the_last_call(engine: plugrt.Engine) -> None:
    detector = Detector(engine)
    assert astuple(detector.timing) == (0, 0, 0)
    detector.detect_many(pictures(5))
    assert min(astuple(detector.timing)) > 0
    detector.detect_many([])
    assert astuple(detector.timing) == (0, 0, 0)


def test_letter_boxes_as_the_plan_says_or_as_asked() -> None:
    (picture,) = pictures(1)
    with build(letter_box=True) as engine:
        detector = Detector(engine)
        assert detector.preparation is Preparation.LETTER_BOX
        boxed, placement = detector.prepare(picture)
        assert boxed.shape == (1, 3, HEIGHT, WIDTH)
        assert (boxed[..., -1, :] == 0.5).all()
        assert (placement.width, placement.height) == (1, 9 / HEIGHT)
        other = Detector(engine, letter_box=False)
        stretched, _ = other.prepare(picture)
        assert not (stretched[..., -1, :] == 0.5).any()
        assert detector.detect(picture, 0.3) != other.detect(picture, 0.3)


def test_one_channel(engine: plugrt.Engine) -> None:
    with build(channels=1) as engine:
        (picture,) = pictures(1)
        assert Detector(engine).detect(picture, 0.3)


def test_names_go_before_the_plans(engine: plugrt.Engine) -> None:
    (picture,) = pictures(1)
    found = Detector(engine, names=["Katze"]).detect(picture, 0.3)
    assert {detection.name for detection in found} == {"Katze"}


def test_what_is_no_picture_is_refused(engine: plugrt.Engine) -> None:
    detector = Detector(engine)
    with pytest.raises(ShapeError, match="uint8"):
        detector.detect(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ShapeError, match="0 x 4 pixels"):
        detector.detect_many([*pictures(1), np.zeros((4, 0, 3), np.uint8)])


def test_kinds_of_suppression() -> None:
    (picture,) = pictures(1)
    with build(nms_kind="diounms", beta_nms=0.1) as engine:
        found = {
            kind: Detector(engine, nms_kind=kind).detect(picture, 0.3, 0.1)
            for kind in (None, "default", "diounms")
        }
        assert Detector(engine).detect(picture, 0.3, 0.1) == found["default"]
        assert found[None] == found["diounms"] != found["default"]
        with pytest.raises(PlugrtError, match="softnms"):
            Detector(engine, nms_kind="softnms")


def test_numbers_below_one_are_refused(engine: plugrt.Engine) -> None:
    with pytest.raises(PlugrtError, match="batch_size=0"):
        Detector(engine, batch_size=0)
    with pytest.raises(PlugrtError, match="threads=0"):
        Detector(engine, threads=0)


def test_engines_that_take_no_pictures() -> None:
    for shape in ((1, 2, 8, 8), (1, 3, 8), (1, 3, "H", 8)):
        network = plugrt.Network()
        image = network.add_input("input", "float32", shape)
        network.mark_output(network.add_layer("Negate", [image]).output)
        with (
            plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine,
            pytest.raises(PlanError, match="pictures need one input"),
        ):
            PictureInput.of(engine)


def test_a_closed_detector(engine: plugrt.Engine) -> None:
    detector = Detector(engine)
    detector.close()
    with pytest.raises(PlugrtError, match="closed"):
        detector.detect(pictures(1)[0])
