"""plugrt-yolo eval."""

import json
from pathlib import Path

import pytest

from tests.yolo.cli.support import fails
from yolo_example.cli import main


@pytest.fixture
def dataset(picture: Path, plan: Path, tmp_path: Path) -> Path:
    """A picture labelled with half of what the detector finds, and a list of it."""
    network_boxes = tmp_path / "found.json"
    assert main(["detect", str(plan), str(picture), "--json", str(network_boxes)]) == 0
    (result,) = json.loads(network_boxes.read_text())
    lines = []
    for found in result["detections"][::2]:
        left, top, right, bottom = found["box"].values()
        values = (
            (left + right) / 120,
            (top + bottom) / 80,
            (right - left) / 60,
            (bottom - top) / 40,
        )
        lines.append(" ".join(["0", *(f"{value:.8f}" for value in values)]))
    picture.with_suffix(".txt").write_text("\n".join(lines))
    path = tmp_path / "pictures.list"
    path.write_text(picture.name)
    return path


def test_eval(
    plan: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    found = tmp_path / "result.json"
    arguments = ["eval", str(plan), str(dataset), "--samples", "20", "--threshold", "0.25"]
    assert main([*arguments, "--json", str(found)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "objects", "AP@0.5", "AP@[.5:.95]"]
    assert lines[1].startswith("cat ")
    assert lines[2].startswith("mAP@0.5: ")
    assert "95% interval" in lines[3]
    result = json.loads(found.read_text())
    assert 0.3 < result["map_50"] < 1
    assert result["intervals"]["samples"] == 20
    assert result["images"] == 1
    assert result["classes"][0]["objects"] == result["objects"] > 5
    assert main([*arguments, "--json", "-"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["map_50"] == result["map_50"]
    assert again["intervals"] == result["intervals"]


def test_eval_maps_names(
    plan: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names, renaming = tmp_path / "other.names", tmp_path / "renaming"
    names.write_text("lion\ntiger\n")
    arguments = ["eval", plan, dataset, "--samples", 0, "--dataset-names", names]
    assert "no class is common" in fails(capsys, *arguments)
    renaming.write_text("cat = lion\n")
    assert main([*map(str, arguments), "--map", str(renaming)]) == 0
    captured = capsys.readouterr()
    assert "lion" in captured.out
    assert "cat is lion" in captured.err
    assert "not in the plan: tiger" in captured.err
    assert main([*map(str, arguments), "--by-number"]) == 0
    assert "lion" in capsys.readouterr().out


def test_eval_names_the_line_of_a_wrong_label(
    plan: Path, dataset: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = picture.with_suffix(".txt")
    labels.write_text("0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n")
    assert f"{labels}:2: class 1, but the plan has 1 classes" in fails(
        capsys, "eval", plan, dataset
    )
    labels.unlink()
    assert "are missing" in fails(capsys, "eval", plan, dataset)
    assert "show no object" in fails(capsys, "eval", plan, dataset, "--allow-unlabelled")
