"""Plans without weights, and ways to run plugrt-yolo."""

import json
from pathlib import Path

import pytest

import plugrt
from yolo_example.cli import main


def save_plan(path: Path, *, detector: bool = True, channels: int = 3) -> Path:
    """A plan without weights: pixels become the values of a yolo layer of two anchors."""
    network = plugrt.Network()
    image = network.add_input("input", "float32", ("N", channels, 16, 24))
    values = network.add_layer("Darknet.Reorg", [image], name="blocks", order="blocks").output
    if detector:
        classes = 2 * channels - 5
        values = network.add_layer(
            "Darknet.Yolo", [values], name="002_yolo", classes=classes,
            names=("cat", "dog")[:classes], anchors=(4, 6, 8, 5), image_size=(16, 24),
        ).output  # fmt: skip
    network.mark_output(values)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        engine.save(path)
    return path


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail: exit status 2 and one line, which is returned."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("plugrt-yolo")
    assert captured.err.count("\n") == 1
    return captured.err


def detected(capsys: pytest.CaptureFixture[str], plan: Path, *arguments: object) -> list[str]:
    """The pictures that detect reports."""
    words = ["detect", plan, *arguments, "--json", "-"]
    assert main([str(word) for word in words]) == 0
    return [result["image"] for result in json.loads(capsys.readouterr().out)]
