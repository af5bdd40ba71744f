"""plugrt-yolo random-weights."""

from pathlib import Path

import pytest

from tests.yolo.cli.support import fails
from yolo_example.cli import main
from yolo_example.parsing import WeightsFile, read_model


@pytest.mark.parametrize(("header", "size"), [("new", 20), ("old", 16)])
def test_random_weights(small_detector: Path, tmp_path: Path, header: str, size: int) -> None:
    path = tmp_path / "made.weights"
    arguments = ["random-weights", small_detector, "-o", path, "--seed", 7, "--header", header]
    assert main([str(argument) for argument in arguments]) == 0
    file = WeightsFile(path, read_model(small_detector).layers)
    assert file.header.size == size
    assert len(list(file.values())) == 9


def test_random_weights_for_a_wrong_definition(
    small_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_detector.write_text("[net]\nwidth=1\n[warp]\n")
    output = tmp_path / "made.weights"
    message = fails(capsys, "random-weights", small_detector, "-o", output, "--seed", 1)
    assert "net.cfg:1: [net]" in message
    assert not output.exists()
