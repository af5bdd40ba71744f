"""The command plugrt-yolo."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plugrt
from yolo_example.cli import main
from yolo_example.parsing import WeightsFile, read_model


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


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return save_plan(tmp_path / "net.plan")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 60, 3), np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(pixels).save(path)
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


def test_detect_prints_writes_and_draws(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, drawn = tmp_path / "found.json", tmp_path / "new" / "drawn"
    arguments = ["detect", plan, picture, picture, "--json", found, "--save", drawn]
    assert main([*map(str, arguments), "--threshold", "0.3", "--nms", "0.2"]) == 0
    first, second = json.loads(found.read_text())
    assert first == second
    assert (first["image"], first["width"], first["height"]) == (str(picture), 60, 40)
    assert len(first["detections"]) > 3
    for detection in first["detections"]:
        assert detection["name"] == "cat"
        assert 0.3 < detection["score"] < 1
        box = detection["box"]
        assert 0 <= box["left"] < box["right"] <= 60
        assert 0 <= box["top"] < box["bottom"] <= 40
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(first["detections"])
    assert lines[0].startswith(f"{picture}: cat ")
    names = ["noise_detections.png", "noise_detections_2.png"]
    assert sorted(path.name for path in drawn.iterdir()) == names
    with Image.open(drawn / names[0]) as image, Image.open(picture) as source:
        assert image.size == source.size
        assert image.tobytes() != source.tobytes()


def test_json_to_standard_output_is_all_that_is_printed(
    plan: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(plan), str(picture), "--json", "-", "--threshold", "1"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["detections"] == []


def test_given_names_go_before_the_plans(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "my.names"
    names.write_text("Löwe\n", encoding="utf-8")
    main(["detect", str(plan), str(picture), "--names", str(names), "--threshold", "0.3"])
    assert f"{picture}: Löwe " in capsys.readouterr().out


def test_a_letter_box_changes_the_places(
    plan: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square = picture.with_name("square.png")
    with Image.open(picture) as image:
        image.resize((30, 30)).save(square)
    outputs = []
    for option in ("--letter-box", "--no-letter-box"):
        main(["detect", str(plan), str(square), option, "--json", "-", "--threshold", "0.3"])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] != outputs[1]


def test_a_wrong_picture_stops_everything_before_anything_is_written(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.jpg"
    wrong.write_bytes(b"\xff\xd8 nothing more")
    before = sorted(tmp_path.iterdir())
    outputs = ["--json", tmp_path / "out.json", "--save", tmp_path / "drawn"]
    for bad in (wrong, tmp_path / "absent.png", plan):
        message = fails(capsys, "detect", plan, picture, bad, *outputs)
        assert str(bad) in message
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_no_detector_is_refused(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_plan(tmp_path / "other.plan", detector=False)
    assert "detects no objects" in fails(capsys, "detect", other, picture)
    five = save_plan(tmp_path / "five.plan", channels=5)
    assert "pictures need one input" in fails(capsys, "detect", five, picture)
    assert "plan" in fails(capsys, "detect", picture, picture)
    assert "absent.plan" in fails(capsys, "detect", tmp_path / "absent.plan", picture)


def test_wrong_names_are_refused(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.names"
    empty.write_text("\n")
    assert "no names" in fails(capsys, "detect", plan, picture, "--names", empty)
    assert "byte offset" in fails(capsys, "detect", plan, picture, "--names", picture)
    absent = tmp_path / "absent.names"
    assert "absent.names" in fails(capsys, "detect", plan, picture, "--names", absent)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["detect"],
        ["detect", "a.plan", "b.png", "--threshold", "1.5"],
        ["detect", "a.plan", "b.png", "--nms", "nan"],
        ["detect", "a.plan", "b.png", "--threads", "0"],
        ["random-weights", "a.cfg", "--seed", "1"],
        ["random-weights", "a.cfg", "-o", "b", "--seed", "-1"],
        ["paint"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--help" in fails(capsys, *arguments)


def test_outputs_that_cannot_be_written(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["detect", str(plan), str(picture), "--json", str(tmp_path / "absent" / "out.json")])
    assert "out.json: cannot be written" in capsys.readouterr().err
    main(["detect", str(plan), str(picture), "--save", str(plan)])
    assert "net.plan: the folder cannot be made" in capsys.readouterr().err


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
