"""plugrt-yolo classify."""

import json
from pathlib import Path

import pytest
from PIL import Image

import plugrt
from tests.yolo.cli.support import fails
from yolo_example.cli import main


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """A plan whose classes are a picture's mean red, green and blue."""
    network = plugrt.Network()
    image = network.add_input("input", "float32", ("N", 3, 8, 8))
    network.mark_output(network.add_layer("GlobalAveragePooling", [image]).output)
    with plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine:
        engine.save(tmp_path / "classes.plan")
    return tmp_path / "classes.plan"


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """A folder with a red and a blue picture."""
    (tmp_path / "colors").mkdir()
    Image.new("RGB", (8, 8), (255, 102, 51)).save(tmp_path / "colors/a.png")
    Image.new("RGB", (8, 8), (0, 102, 153)).save(tmp_path / "colors/b.png")
    return tmp_path / "colors"


def test_classify(
    classifier: Path, colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "colors.names"
    names.write_text("red\ngreen\nblue\n")
    arguments = ["classify", str(classifier), str(colors), "--names", str(names), "--top", "2"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{colors}/a.png: red 100.0%",
        f"{colors}/a.png: green 40.0%",
        f"{colors}/b.png: blue 60.0%",
        f"{colors}/b.png: green 40.0%",
    ]
    assert main([*arguments, "--json", "-", "--batch", "2"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert second["image"] == f"{colors}/b.png"
    assert [(c["class"], c["name"]) for c in first["classes"]] == [(0, "red"), (1, "green")]
    assert first["classes"][1]["probability"] == pytest.approx(0.4)


def test_classify_names_what_cannot_be_read(
    classifier: Path, colors: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (colors / "c.png").write_text("no picture")
    assert main(["classify", str(classifier), str(colors)]) == 2
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 6
    assert f"plugrt-yolo: {colors}/c.png: not a picture" in captured.err
    assert "a classifier has one output" in fails(capsys, "classify", plan, colors / "a.png")
