"""Sections one by one against OpenCV's dnn module, with options that only Darknet's fork knows."""

from pathlib import Path

import pytest

from tests.yolo.reference_darknet import opencv
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture, run
from tests.yolo.reference_darknet.definitions import written
from tests.yolo.section_cases import FORK, FORK_NET
from yolo_example.parsing import read_model
from yolo_example.parsing.random_weights import write_random_weights


@pytest.mark.parametrize("case", FORK)
def test_sections(tmp_path: Path, case: str) -> None:
    cfg, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    cfg.write_text(written(FORK[case], FORK_NET), encoding="utf-8")
    model = read_model(cfg)
    assert model.notes == []
    write_random_weights(model.layers, 3, weights)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "opencv"), model, picture, every_section=True)
    judges = opencv.predict(cfg, weights, picture, ours)
    assert_close(ours, judges)
    for index, value in ours.items():
        assert value.squeeze().shape == judges[index].squeeze().shape
