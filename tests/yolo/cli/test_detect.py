"""plugrt-yolo detect: results, drawings, errors."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.yolo.cli.support import fails, save_plan
from yolo_example.cli import main


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


def test_batches_change_nothing(plan: Path, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for batch in ("1", "3"):
        arguments = ["detect", str(plan), str(tree), "--json", "-", "--batch", batch]
        assert main([*arguments, "--threshold", "0.3"]) == 0
        outputs.append(json.loads(capsys.readouterr().out))
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 4


def test_a_wrong_picture_alone_leaves_nothing_behind(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.jpg"
    wrong.write_bytes(b"\xff\xd8 nothing more")
    before = sorted(tmp_path.iterdir())
    outputs = ["--json", tmp_path / "out.json", "--save", tmp_path / "drawn"]
    for bad in (wrong, plan):
        assert str(bad) in fails(capsys, "detect", plan, bad, *outputs)
    assert sorted(tmp_path.iterdir()) == before


def test_the_pictures_beside_a_wrong_one_are_done(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, found = tmp_path / "wrong.jpg", tmp_path / "out.json"
    wrong.write_bytes(b"\xff\xd8 nothing more")
    arguments = ["detect", plan, wrong, picture, wrong, picture, "--json", found, "--batch", 2]
    assert main([*map(str, arguments), "--save", str(tmp_path / "drawn")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert sum(line.startswith(f"plugrt-yolo: {wrong}: ") for line in errors) == 2
    assert [result["image"] for result in json.loads(found.read_text())] == [str(picture)] * 2
    assert len(list((tmp_path / "drawn").iterdir())) == 2


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


def test_outputs_that_cannot_be_written(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["detect", str(plan), str(picture), "--json", str(tmp_path / "absent" / "out.json")])
    assert "out.json: cannot be written" in capsys.readouterr().err
    assert "net.plan: the folder cannot be made" in fails(
        capsys, "detect", plan, picture, "--save", plan
    )
