"""The classifier: the likeliest classes, their names, how pictures are prepared."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plugrt
from plugrt import PlanError, PlugrtError
from plugrt.plugins import Array
from yolo_example.classification import Classifier
from yolo_example.parsing import DarknetParser
from yolo_example.preparation import Preparation

DataPath = Callable[[str], Path]

COLORS = ("red", "green", "blue")


def build(
    *layers: str, class_names: str = "", channels: int = 3, **attributes: object
) -> plugrt.Engine:
    """The mean of every channel through these layers; the last one has the attributes."""
    network = plugrt.Network("colors")
    x = network.add_input("input", "float32", ("N", channels, 8, 8))
    x = network.add_layer("GlobalAveragePooling", [x]).output
    for layer in layers:
        given = attributes if layer == layers[-1] else {}
        x = network.add_layer(layer, [x], name=layer, **given).output
    network.mark_output(x, layers[-1] if layers else "mean")
    if class_names:
        network.metadata["class_names"] = class_names
    return plugrt.build(network, plugrt.BuilderConfig(tune="off"))


@pytest.fixture
def engine() -> Iterator[plugrt.Engine]:
    with build(class_names="\n".join(COLORS)) as engine:
        yield engine


def plain(*color: int, size: tuple[int, int] = (10, 10)) -> Image.Image:
    return Image.new("RGB", size, color)


def test_the_likeliest_classes_come_first(engine: plugrt.Engine) -> None:
    found = Classifier(engine).classify(plain(51, 255, 102))
    assert [c.name for c in found] == ["green", "blue", "red"]
    assert [c.class_index for c in found] == [1, 2, 0]
    np.testing.assert_allclose([c.probability for c in found], [1, 0.4, 0.2], rtol=1e-6)
    assert [c.path for c in found] == [()] * 3


def test_no_more_than_asked_for(engine: plugrt.Engine) -> None:
    classifier = Classifier(engine)
    assert [c.name for c in classifier.classify(plain(7, 7, 7), top=2)] == ["red", "green"]
    assert len(classifier.classify(plain(7, 7, 7), top=9)) == 3
    with pytest.raises(PlugrtError, match="top=0"):
        classifier.classify(plain(7, 7, 7), top=0)


def test_many_pictures(engine: plugrt.Engine) -> None:
    classifier = Classifier(engine, batch_size=2)
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0)]
    found = classifier.classify_many((plain(*color) for color in colors), top=1)
    assert [c.name for (c,) in found] == ["red", "green", "blue", "green", "red"]
    assert min(astuple(classifier.timing)) > 0
    assert classifier.classify_many([]) == []


def test_names(engine: plugrt.Engine) -> None:
    picture = plain(0, 255, 0)
    assert Classifier(engine, names=("r", "g", "b")).classify(picture)[0].name == "g"
    with pytest.raises(PlugrtError, match="2 names are given, but the plan has 3 classes"):
        Classifier(engine, names=("r", "g"))
    with build() as nameless:
        assert Classifier(nameless).classify(picture)[0].name == "class 1"


def test_outputs_without_extents_of_one() -> None:
    with build("Flatten", "Softmax") as engine:
        (best,) = Classifier(engine).classify(plain(0, 255, 0), top=1)
    np.testing.assert_allclose(best.probability, np.e / (np.e + 2), rtol=1e-6)


@pytest.mark.parametrize(
    ("preparation", "blue"), [("letter-box", 0.25), ("centre-crop", 0), ("stretched", 0)]
)
def test_preparations(engine: plugrt.Engine, preparation: str, blue: float) -> None:
    """Half of the letter box of a wide picture is grey."""
    classifier = Classifier(engine, preparation=Preparation(preparation))
    found = classifier.classify(plain(255, 0, 0, size=(40, 20)))
    assert {c.name: c.probability for c in found}["blue"] == pytest.approx(blue)


def test_classes_in_a_tree() -> None:
    """Green and blue are kinds of red, which is no answer itself."""
    tree = ("Flatten", "Darknet.TreeSoftmax")
    with build(*tree, class_names="\n".join(COLORS), parents=(-1, 0, 0)) as engine:
        best, second, last = Classifier(engine).classify(plain(102, 0, 255))
    assert [best.path, second.path, last.path] == [("red", "blue"), ("red", "green"), ("red",)]
    assert best.probability == pytest.approx(np.e / (np.e + 1))
    assert second.probability == pytest.approx(1 / (np.e + 1))
    assert last.probability == 0


def test_names_of_a_tree() -> None:
    """Those of the layer, where neither the user nor the plan has any."""
    tree = ("Flatten", "Darknet.TreeSoftmax")
    with build(*tree, parents=(-1, 0, 0), names=COLORS) as engine:
        (best,) = Classifier(engine).classify(plain(102, 0, 255), top=1)
        (given,) = Classifier(engine, names=("r", "g", "b")).classify(plain(0, 255, 0), top=1)
    assert best.path == ("red", "blue")
    assert given.path == ("r", "g")


def test_what_is_no_classifier_is_refused() -> None:
    for shape, layers in ((("N", 3, 4, 4), 1), (("N", 3, 1, 1), 2)):
        network = plugrt.Network()
        image = network.add_input("input", "float32", shape)
        for number in range(layers):
            network.mark_output(network.add_layer("Negate", [image]).output, f"y{number}")
        with (
            plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine,
            pytest.raises(PlanError, match=r"one output \[N, classes\]"),
        ):
            Classifier(engine)


def test_a_classifier_of_other_inputs_is_refused() -> None:
    with build(channels=5) as engine, pytest.raises(PlanError, match="pictures need"):
        Classifier(engine)


def digits(data_path: DataPath, count: int) -> tuple[Array, Array]:
    """The first handwritten digits of MNIST's test set [count, 28, 28], and what they are."""
    images = gzip.decompress(data_path("images/mnist/t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress(data_path("images/mnist/t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels[:count], np.frombuffer(labels, np.uint8, offset=8)[:count]


@pytest.mark.parametrize("preparation", Preparation)
def test_handwritten_digits(data_path: DataPath, preparation: Preparation) -> None:
    cfg = data_path("darknet/models/mnist_lenet/mnist_lenet.cfg")
    network = plugrt.Network()
    DarknetParser().parse(cfg, cfg.with_suffix(".weights"), network)
    images, labels = digits(data_path, 1000)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        classifier = Classifier(engine, preparation=preparation, batch_size=32)
        found = classifier.classify_many(map(Image.fromarray, images), top=1)
    right = [best.class_index == label for (best,), label in zip(found, labels, strict=True)]
    assert np.mean(right) == pytest.approx(0.945, abs=0.002)  # what the data's README says
