"""Damaged and mismatched models through `plugrt build`: one line, exit status 2, no rest."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plugrt.cli import main
from yolo_example.parsing import read_model
from yolo_example.parsing.random_weights import write_random_weights

Change = Callable[[bytes], bytes]


@pytest.fixture
def weights(small_detector: Path) -> Path:
    path = small_detector.with_suffix(".weights")
    write_random_weights(read_model(small_detector).layers, 1, path)
    return path


def build_fails(
    capfd: pytest.CaptureFixture[str], cfg: Path, weights: Path, *options: object
) -> str:
    """Run a build that must fail; returns its message."""
    before = {path: path.read_bytes() for path in cfg.parent.iterdir()}
    plan = cfg.with_suffix(".plan")
    status = main(["build", str(cfg), str(weights), "-o", str(plan), *map(str, options)])
    captured = capfd.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert {path: path.read_bytes() for path in cfg.parent.iterdir()} == before
    return captured.err


WEIGHTS: dict[str, tuple[Change, str]] = {
    "truncated": (lambda data: data[:-100], "byte offset 2248: the file ends within the weights"),
    "over-long": (lambda data: data + bytes(4), "4 bytes are left over behind layer 007"),
    "empty": (lambda data: b"", "the file is empty"),
    "text": (lambda data: b"<!DOCTYPE html>\n<html>\n", "this is a text file"),
    "text-mangled": (lambda data: data.replace(b"\0", b"\n"), "byte offset 0: version"),
    "shifted": (lambda data: data[:21] + data[22:] + b"\0", "in text mode changes bytes"),
}


@pytest.mark.parametrize("damage", WEIGHTS)
def test_damaged_weights(
    small_detector: Path, weights: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change, said = WEIGHTS[damage]
    weights.write_bytes(change(weights.read_bytes()))
    message = build_fails(capfd, small_detector, weights)
    assert str(weights) in message
    assert said in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("filters=14", "filters=15", "[yolo] classes=2 and 2 anchors need an input of 14"),
        ("filters=8", "filters=9", "the file ends within"),
        ("[upsample]", "[warp]", "[warp] is unknown; supported sections:"),
        ("[net]", "[convolutional]", "stands first; a definition begins with [net]"),
        ("stride=2", "stride=two", "stride='two' is not a whole number"),
    ],
)
def test_definitions_that_do_not_fit(
    small_detector: Path, weights: Path, capfd: pytest.CaptureFixture[str],
    old: str, new: str, said: str,
) -> None:  # fmt: skip
    small_detector.write_text(small_detector.read_text().replace(old, new))
    assert said in build_fails(capfd, small_detector, weights)


def test_an_empty_definition(
    small_detector: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small_detector.write_bytes(b"")
    assert "the file is empty" in build_fails(capfd, small_detector, weights)


def test_exchanged_files(
    small_detector: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "no installed parser" in build_fails(capfd, weights, small_detector)


def test_options_that_do_not_fit(
    small_detector: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for options, said in (
        (("--cutoff", 99), "--cutoff 99 is more than the 9 layers"),
        (("--names", weights), "is not UTF-8 text"),
        (("--data", small_detector), "is not key=value"),
        (("--random-weights", 3), "exclude each other"),
        (("--batch-norm", "none"), "batch"),
    ):
        assert said in build_fails(capfd, small_detector, weights, *options)


def test_too_few_names_for_a_classifier(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cfg, names = tmp_path / "colors.cfg", tmp_path / "two.names"
    cfg.write_text("[net]\nwidth=8\nheight=8\nchannels=3\n[avgpool]\n[softmax]\n")
    names.write_text("red\ngreen\n")
    weights = tmp_path / "colors.weights"
    write_random_weights(read_model(cfg).layers, 1, weights)
    said = build_fails(capfd, cfg, weights, "--names", names)
    assert f"{cfg}:6: [softmax] the result has 3 classes, but the file of names 2" in said
