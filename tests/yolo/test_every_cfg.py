"""Every definition below PLUGRT_DATA becomes a network with made-up weights, or is refused for a
reason that this module knows, with file, line and section."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import plugrt
from plugrt import ModelError
from tests.yolo.reference_darknet.definitions import parameters, small_copy
from yolo_example.parsing import DarknetParser, read_model

DataPath = Callable[[str], Path]

LARGE = 2_000_000
"""Networks with more weights lose filters here; the builds of `make test-full` are whole."""

MESSAGE = re.compile(r"(?P<path>.+):(?P<line>\d+): \[(?P<section>\w+)\] (?P<reason>.+)")

REFUSED = {
    "alexeyab/crnn.train": "is not supported",
    "alexeyab/gru": "is not supported",
    "alexeyab/rnn.train": "is not supported",
    "alexeyab/darknet53_448_xnor": "xnor=1 is not supported",
    "alexeyab/tiny-yolo_xnor": "xnor=1 is not supported",
    "alexeyab/cspx-p7-mish": "mask=16 names no anchor",
    "pjreddie/gru": "is not supported",
    "pjreddie/rnn.train": "is not supported",
    "pjreddie/yolov1": "is not supported",
}
"""By folder and name what is said of the definitions that plugrt does not take: sections with a
memory, [local], binary weights, and masks beyond the anchors, for which the fork reads memory
that it never wrote."""


def network_of(cfg: Path) -> plugrt.Network:
    network = plugrt.Network()
    DarknetParser(random_weights=1).parse(cfg, None, network)
    return network


def assert_names_its_place(error: ModelError, cfg: Path, reason: str) -> None:
    """The message gives the file, a line that lies in the section it names, and `reason`."""
    found = MESSAGE.fullmatch(str(error))
    assert found is not None, str(error)
    assert found["path"] == str(cfg)
    assert reason in found["reason"]
    lines = cfg.read_text(encoding="utf-8").splitlines()[: int(found["line"])]
    titles = [line for line in lines if line.lstrip().startswith("[")]
    assert titles[-1].strip() == f"[{found['section']}]"


@pytest.mark.parametrize("source", parameters("darknet"))
def test_every_definition_is_read_or_refused(
    source: str, labels_folder: Path, data_path: DataPath
) -> None:
    path = data_path(source)
    reason = REFUSED.get(f"{path.parent.name}/{path.stem}")
    cfg = small_copy(path, labels_folder, narrow_above=LARGE)
    if reason is not None:
        with pytest.raises(ModelError) as caught:
            network_of(cfg)
        assert_names_its_place(caught.value, cfg, reason)
        return
    network = network_of(cfg)
    layers = {layer.name: layer for layer in read_model(cfg).layers}
    assert network.outputs
    for name, tensor in zip(network.output_names, network.outputs, strict=True):
        shape = layers[name].output
        sizes = (shape.channels,) if shape.flat else (shape.channels, shape.height, shape.width)
        assert tensor.desc.shape[1:] == sizes


@pytest.mark.slow
@pytest.mark.parametrize("source", parameters("darknet"))
def test_every_definition_is_built(source: str, labels_folder: Path, data_path: DataPath) -> None:
    path = data_path(source)
    if f"{path.parent.name}/{path.stem}" in REFUSED:
        pytest.skip("refused, as the other test shows")
    with plugrt.build(network_of(path), plugrt.BuilderConfig(tune="off")) as engine:
        assert engine.outputs
