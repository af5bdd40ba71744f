"""Whole networks against the reference Darknet: every definition it can load, made-up weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plugrt import ModelError
from tests.yolo.reference_darknet import ReferenceDarknet
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture, run
from tests.yolo.reference_darknet.definitions import for_one_picture, parameters, small_copy
from yolo_example.parsing import read_model
from yolo_example.parsing.random_weights import write_random_weights

DataPath = Callable[[str], Path]

FOLDER = "darknet/cfg/pjreddie"
REFUSED = {"gru": "gru", "rnn.train": "rnn", "yolov1": "local"}
"""Definitions with a section that plugrt does not have, and that section."""

SMALL = 40
"""Networks of up to so many sections are also compared section by section."""

WIDE = 10_000_000
"""Networks with more weights lose filters here; at full size they are whole."""


def compare(darknet: ReferenceDarknet, cfg: Path) -> None:
    """One definition in both, with weights of our writer."""
    model = read_model(cfg, batch_norm="darknet")
    weights = cfg.with_suffix(".weights")
    write_random_weights(model.layers, 1, weights)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "darknet"), model, picture)
    assert_close(ours, darknet.predict(cfg, weights, picture, *ours, folder=cfg.parent))
    if len(model.layers) <= SMALL:
        network = parse(cfg, weights, "darknet")
        ours = run(network, model, picture, every_section=True)
        assert_close(ours, darknet.predict(cfg, weights, picture, *ours, folder=cfg.parent))
    weights.unlink()


@pytest.mark.parametrize("source", parameters(FOLDER))
def test_every_definition(
    source: str, labels_folder: Path, data_path: DataPath, darknet: ReferenceDarknet
) -> None:
    path = data_path(source)
    copy = small_copy(path, labels_folder, narrow_above=WIDE)
    if path.stem in REFUSED:
        with pytest.raises(ModelError, match=rf"\[{REFUSED[path.stem]}\] is not supported"):
            read_model(copy)
    else:
        compare(darknet, copy)


@pytest.mark.slow
@pytest.mark.parametrize("source", parameters(FOLDER))
def test_every_definition_at_full_size(
    source: str, labels_folder: Path, data_path: DataPath, darknet: ReferenceDarknet
) -> None:
    path = data_path(source)
    if path.stem in REFUSED:
        pytest.skip("refused, as the test of small copies shows")
    copy = labels_folder / path.name
    copy.write_text(for_one_picture(path.read_text(encoding="utf-8")), encoding="utf-8")
    compare(darknet, copy)
