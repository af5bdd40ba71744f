"""Small Darknet models for the tests of yolo_example."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.yolo.reference_darknet import ReferenceDarknet, find_library
from yolo_example.parsing import DarknetModel, read_model

WriteCfg = Callable[[str], Path]
ReadCfg = Callable[[str], DarknetModel]

NET = "[net]\nchannels=3\nheight=16\nwidth=24\n"


@pytest.fixture(scope="session")
def darknet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceDarknet]:
    """The reference Darknet. It skips the test where there is none."""
    library = find_library()
    if isinstance(library, str):
        pytest.skip(library)
    reference = ReferenceDarknet(library, tmp_path_factory.mktemp("darknet"))
    yield reference
    reference.close()


@pytest.fixture
def write_cfg(tmp_path: Path) -> WriteCfg:
    """Writes a definition and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "net.cfg"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def read_cfg(write_cfg: WriteCfg) -> ReadCfg:
    """Reads sections behind a [net] of 3x16x24 as a model."""

    def read(sections: str) -> DarknetModel:
        return read_model(write_cfg(NET + sections))

    return read


@pytest.fixture
def small_detector(write_cfg: WriteCfg) -> Path:
    """A definition with most sections and a yolo layer of two classes."""
    return write_cfg(
        NET
        + """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
batch_normalize=1
filters=8
size=1
activation=linear
[shortcut]
from=-2
activation=leaky
[upsample]
stride=2
[route]
layers=-1,0
[dropout]
probability=.5
[convolutional]
filters=14
size=1
activation=linear
[yolo]
mask=0,1
anchors=4,6, 8,5, 10,12
num=3
classes=2
"""
    )
