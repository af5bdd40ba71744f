"""The files that `plugrt-yolo export-caffe` writes, and what it says."""

import sys
from pathlib import Path

import cv2
import pytest

from tests.yolo.caffe_export.support import Export
from yolo_example import cli
from yolo_example.caffe_export import exporter, messages


def test_heads_are_comments_that_lose_nothing(small_detector: Path, tmp_path: Path) -> None:
    export = Export(small_detector, tmp_path / "net")
    assert export.files.heads == {"008_yolo": "007_convolutional"}
    lines = export.text.splitlines()
    line = export.model.layers[8].section.line
    reads = "It reads 007_convolutional; its options:"
    assert f"# 008_yolo: [yolo], line {line}, is left out. {reads}" in lines
    for option in ("mask=0,1", "anchors=4,6,8,5,10,12", "num=3", "classes=2"):
        assert f"#   {option}" in lines
    line = export.model.layers[6].section.line
    assert f"# 006_dropout: [dropout], line {line}, changes nothing" in lines


def test_blobs_and_layers_are_called_as_in_an_engine(small_detector: Path, tmp_path: Path) -> None:
    export = Export(small_detector, tmp_path / "net")
    reader = cv2.dnn.readNetFromCaffe(str(export.files.prototxt), str(export.files.caffemodel))
    written = {layer.name for layer in export.network.layers} - {"008_yolo"}
    assert written <= set(reader.getLayerNames())


@pytest.fixture
def files(small_detector: Path) -> tuple[Path, Path]:
    """A definition and random weights."""
    weights = small_detector.with_suffix(".weights")
    made = cli.main(["random-weights", str(small_detector), "-o", str(weights), "--seed", "1"])
    assert made == 0
    return small_detector, weights


def test_the_command_says_what_it_wrote(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, weights = files
    assert cli.main(["export-caffe", str(cfg), str(weights)]) == 0
    said = capsys.readouterr().out
    for name in ("net.prototxt", "net.caffemodel"):
        assert f"{tmp_path / name}:" in said
    assert "008_yolo is left out: it reads 007_convolutional" in said
    reader = cv2.dnn.readNetFromCaffe(
        str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    )
    assert reader.getUnconnectedOutLayersNames() == ("007_convolutional",)


@pytest.mark.parametrize("prefix", ["other", "other.prototxt", "other.caffemodel"])
def test_the_command_takes_a_prefix_and_cuts(
    prefix: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ["export-caffe", *map(str, files), "-o", str(tmp_path / prefix), "--cutoff", "3"]
    assert cli.main([*words, "--fold", "--batch-norm", "fork"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "net.cfg", "net.weights", "other.prototxt", "other.caffemodel",
    }  # fmt: skip
    text = (tmp_path / "other.prototxt").read_text(encoding="utf-8")
    assert "002_convolutional" in text
    assert "003_shortcut" not in text
    assert "BatchNorm" not in text


@pytest.mark.parametrize(
    ("prefix", "said"),
    [("/", "this is a folder"), ("absent/net", "cannot be written (No such file or directory)")],
)
def test_what_cannot_be_written_is_an_error(
    prefix: str,
    said: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["export-caffe", *map(str, files), "-o", str(tmp_path / prefix)]) == 2
    assert said in capsys.readouterr().err


def test_more_than_protocol_buffers_hold_is_refused(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporter, "LARGEST_FILE", 1000)
    assert cli.main(["export-caffe", *map(str, files)]) == 2
    assert "bytes of weights are more than readers of Caffe's files take (1000)" in (
        capsys.readouterr().err
    )


def test_wrong_weights_leave_the_files_as_they_were(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, weights = files
    weights.write_bytes(weights.read_bytes()[:-4])
    (tmp_path / "net.prototxt").write_text("old", encoding="utf-8")
    assert cli.main(["export-caffe", str(cfg), str(weights)]) == 2
    assert "4 bytes are missing" in capsys.readouterr().err
    assert (tmp_path / "net.prototxt").read_text(encoding="utf-8") == "old"
    assert not (tmp_path / "net.caffemodel").exists()


def test_the_command_says_how_to_install_protobuf(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    messages._library.cache_clear()
    assert cli.main(["export-caffe", *map(str, files)]) == 2
    assert "pip install 'plugrt-yolo[caffe]'" in capsys.readouterr().err
    assert not (tmp_path / "net.prototxt").exists()
