"""The parser as a whole: networks with random weights against OpenCV, names and options."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import plugrt
from plugrt import LayerAttributeError, ModelError
from plugrt.plugins import Array
from yolo_example.layers import Region, Yolo
from yolo_example.parsing import OLD_HEADER, DarknetParser, read_model
from yolo_example.parsing.random_weights import write_random_weights

WriteCfg = Callable[[str], Path]

NET = "[net]\nchannels=4\nheight=20\nwidth=28\n"
CONV = "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation={}\n"
SMALL = "[convolutional]\nfilters={}\nsize=1\nactivation=linear\n"
LAST = SMALL.format(5)

FUNCTIONS = ("leaky", "relu", "mish", "swish", "logistic", "tanh", "linear")

NETWORKS = {
    "activations": "".join(CONV.format(name) for name in FUNCTIONS),
    "convolutions": CONV.format("leaky")
    + "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\ngroups=16\nstride=2\n"
    "activation=relu\n[convolutional]\nfilters=8\nsize=5\npad=1\ngroups=4\nactivation=leaky\n"
    + LAST,
    "pooling": CONV.format("leaky")
    + "[maxpool]\nsize=3\nstride=2\n[maxpool]\nsize=2\nstride=1\n[maxpool]\nsize=2\nstride=2\n"
    "[maxpool]\nsize=5\nstride=1\n" + LAST,
    "routes": CONV.format("leaky") * 2
    + "[route]\nlayers=-1,0\n[route]\nlayers=-2\ngroups=2\ngroup_id=1\n[route]\nlayers=-1,2,1\n"
    + LAST,
    "shortcuts": CONV.format("leaky") * 2 + "[shortcut]\nfrom=-2\nactivation=leaky\n" + LAST,
    "upsampling": "[maxpool]\nsize=2\nstride=2\n" + CONV.format("leaky")
    + "[upsample]\nstride=2\n" + LAST,
    "reorg": SMALL.format(64) + "[reorg]\nstride=2\n" + LAST,
    "squeeze": CONV.format("relu") + "[avgpool]\n" + SMALL.format(4)
    + "[convolutional]\nfilters=16\nsize=1\nactivation=logistic\n[scale_channels]\nfrom=-4\n"
    + LAST,
    "attention": CONV.format("relu")
    + "[convolutional]\nfilters=16\nsize=1\nactivation=logistic\n[sam]\nfrom=-2\n" + LAST,
    "classifier": CONV.format("leaky") + SMALL.format(10)
    + "[avgpool]\n[softmax]\ngroups=1\n[cost]\ntype=sse\n",
    "connected": "[maxpool]\nsize=4\nstride=4\n[connected]\noutput=12\nactivation=relu\n"
    "[dropout]\nprobability=.5\n[connected]\noutput=5\nactivation=linear\n[softmax]\n",
}  # fmt: skip


def run_plugrt(cfg: Path, weights: Path, images: Array) -> dict[str, Array]:
    network = plugrt.Network()
    DarknetParser().parse(cfg, weights, network)
    config = plugrt.BuilderConfig(tune="off")
    with plugrt.build(network, config) as engine, engine.create_context() as context:
        return dict(context.execute({"input": images}))


def run_opencv(cfg: Path, weights: Path, image: Array) -> Array:
    net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    net.setInput(image)
    return np.asarray(net.forward())


@pytest.mark.parametrize("name", NETWORKS)
def test_sections_agree_with_opencv(name: str, write_cfg: WriteCfg) -> None:
    cfg = write_cfg(NET + NETWORKS[name])
    weights = cfg.with_suffix(".weights")
    write_random_weights(read_model(cfg).layers, 11, weights)
    images = np.random.default_rng(6).random((2, 4, 20, 28), np.float32)
    (result,) = run_plugrt(cfg, weights, images).values()
    for image, values in zip(images, result, strict=True):
        expected = run_opencv(cfg, weights, image[np.newaxis])
        assert np.isfinite(expected).all()
        difference = np.linalg.norm(values.ravel() - expected.ravel())
        assert difference <= 1e-5 * np.linalg.norm(expected)


def test_activations_neither_explode_nor_vanish(write_cfg: WriteCfg) -> None:
    block = CONV.format("linear") + "[shortcut]\nfrom=-2\nactivation=leaky\n"
    cfg = write_cfg(NET + CONV.format("leaky") + block * 25 + LAST)
    network = plugrt.Network()
    DarknetParser(random_weights=5).parse(cfg, None, network)
    images = np.random.default_rng(7).random((1, 4, 20, 28), np.float32)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        (result,) = engine.create_context().execute({"input": images}).values()
    assert 0.1 < float(np.std(result)) < 10


def test_tensors_are_named_after_sections(small_detector: Path) -> None:
    network = plugrt.Network()
    DarknetParser(random_weights=1).parse(small_detector, None, network)
    assert network.input_names == ("input",)
    assert network.output_names == ["008_yolo"]
    names = [layer.name for layer in network.layers]
    assert names == [
        "000_convolutional.convolution", "000_convolutional.batch_normalize",
        "000_convolutional", "001_maxpool", "002_convolutional.convolution",
        "002_convolutional", "003_shortcut.sum", "003_shortcut", "004_upsample", "005_route",
        "007_convolutional", "008_yolo",
    ]  # fmt: skip
    assert "000_convolutional.weights" in network.tensors


def test_names_and_anchors_travel_in_the_plan(
    write_cfg: WriteCfg, tmp_path: Path, small_detector: Path
) -> None:
    names = tmp_path / "two.names"
    names.write_text("cat\ndog\n")
    network = plugrt.Network()
    DarknetParser(random_weights=1, names=str(names)).parse(small_detector, None, network)
    config = plugrt.BuilderConfig(tune="off")
    plan = plugrt.build(network, config).to_bytes()
    with plugrt.Engine.from_bytes(plan) as engine:
        layer = engine.layers["008_yolo"]
        assert isinstance(layer, Yolo)
        assert (layer.names, layer.mask, layer.classes) == (("cat", "dog"), (0, 1), 2)
        assert layer.anchors == (4, 6, 8, 5, 10, 12)
        assert layer.image_size == (16, 24)

    cfg = write_cfg(NET + SMALL.format(14) + "[region]\nclasses=2\nnum=2\nanchors=1,2,3,4\n")
    network = plugrt.Network()
    DarknetParser(random_weights=1).parse(cfg, None, network)
    plan = plugrt.build(network, config).to_bytes()
    with plugrt.Engine.from_bytes(plan) as engine:
        region = engine.layers["001_region"]
        assert isinstance(region, Region)
        assert (region.anchors, region.softmax) == ((1, 2, 3, 4), False)


def test_the_three_forms_of_batch_normalization(write_cfg: WriteCfg) -> None:
    cfg = write_cfg(NET + CONV.format("linear"))
    found = {}
    for variant in ("darknet", "fork", "opencv"):
        network = plugrt.Network()
        DarknetParser(random_weights=1, batch_norm=variant).parse(cfg, None, network)
        plugin = network.layers[-1].plugin
        found[variant] = (plugin.epsilon, plugin.outer_epsilon)
    assert found == {"darknet": (0, 1e-6), "fork": (1e-5, 0), "opencv": (1e-6, 0)}


def test_data_files_name_the_names(tmp_path: Path, small_detector: Path) -> None:
    (tmp_path / "two.names").write_text("cat\ndog\nmouse\n")
    data = tmp_path / "two.data"
    data.write_text("classes = 2\ntrain = /far/away\nnames = data/two.names\n")
    network = plugrt.Network()
    DarknetParser(random_weights=1, data=str(data)).parse(small_detector, None, network)
    assert network.layers[-1].plugin.names == ("cat", "dog")
    data.write_text("classes = 2\nnames = absent.names\n")
    with pytest.raises(ModelError, match=r"names=absent\.names is not found"):
        DarknetParser(random_weights=1, data=str(data)).parse(small_detector, None, network)
    data.write_text("classes = 2\n")
    with pytest.raises(ModelError, match="there is no names=FILE"):
        DarknetParser(random_weights=1, data=str(data)).parse(small_detector, None, network)


def test_too_few_names_are_refused(tmp_path: Path, small_detector: Path) -> None:
    names = tmp_path / "one.names"
    names.write_text("cat\n")
    parser = DarknetParser(random_weights=1, names=str(names))
    with pytest.raises(ModelError, match=r"\[yolo\] classes=2, but the file of names has 1"):
        parser.parse(small_detector, None, plugrt.Network())


def test_weights_or_a_seed_must_be_given(tmp_path: Path, small_detector: Path) -> None:
    with pytest.raises(ModelError, match=r"give the \.weights file, or --random-weights SEED"):
        DarknetParser().parse(small_detector, None, plugrt.Network())
    with pytest.raises(ModelError, match="exclude each other"):
        DarknetParser(random_weights=1).parse(small_detector, tmp_path / "w", plugrt.Network())


@pytest.mark.parametrize("options", [{"cutoff": -1}, {"random_weights": -2}, {"batch_norm": "x"}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(LayerAttributeError, match="parser darknet"):
        DarknetParser(**options)


def test_a_cut_network_ends_in_its_last_layer(small_detector: Path) -> None:
    weights = small_detector.with_suffix(".weights")
    write_random_weights(read_model(small_detector).layers, 1, weights, OLD_HEADER)
    network = plugrt.Network()
    parsed = DarknetParser(cutoff=3).parse(small_detector, weights, network)
    assert network.output_names == ["002_convolutional"]
    assert any("bytes behind layer 2 are not read" in note for note in parsed.notes)


@pytest.mark.parametrize(
    ("head", "accepted"),
    [
        (b"[net]\nwidth=4\n", True),
        (b"\xef\xbb\xbf\n# Testing\n ; more\n  [ network ]\r\n", True),
        (b"[convolutional]\n", True),
        (b"[crnn]\n", True),
        (b"[tool.ruff]\n", False),
        (b"[package]\n", False),
        (b"width=4\n[net]\n", False),
        (b"", False),
        (b"\x08\x07\x12\x07pytorch", False),
        (b'name: "LeNet"\nlayer {\n', False),
    ],
)
def test_definitions_are_told_by_their_content(head: bytes, accepted: bool) -> None:
    assert DarknetParser.accepts(Path("any"), head) is accepted


def test_the_parser_is_registered() -> None:
    assert plugrt.Registry.default().require("parsers", "darknet") is DarknetParser
