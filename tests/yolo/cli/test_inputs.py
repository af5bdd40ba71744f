"""Files, folders and patterns as inputs of plugrt-yolo."""

from pathlib import Path

import pytest

from tests.yolo.cli.support import detected, fails


def test_folders_and_patterns(
    plan: Path, tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree.parent)
    everything = ["a.JPG", "b.png", "drawn/f.png", "sub/deep/c.bmp"]
    assert detected(capsys, plan, "tree") == [f"tree/{name}" for name in everything]
    assert detected(capsys, plan, "tree/**", "--batch", 3) == [f"tree/{n}" for n in everything]
    assert detected(capsys, plan, "tree/s*") == ["tree/sub/deep/c.bmp"]
    assert detected(capsys, plan, "tree/?.[pJ]*") == ["tree/a.JPG", "tree/b.png"]
    assert detected(capsys, plan, "tree/b.png", "tree/.hidden/d.png") == [
        "tree/b.png",
        "tree/.hidden/d.png",
    ]


def test_a_file_named_like_a_pattern(
    plan: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = picture.rename(picture.with_name("photo [1].png"))
    assert detected(capsys, plan, odd) == [str(odd)]


def test_drawings_in_the_folder_are_not_taken_for_pictures(
    plan: Path, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        found = detected(capsys, plan, tree, "--save", tree / "drawn")
        assert [Path(name).name for name in found] == ["a.JPG", "b.png", "c.bmp"]


def test_equal_names_are_drawn_side_by_side(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tmp_path / "second" / picture.name
    second.parent.mkdir()
    second.write_bytes(picture.read_bytes())
    detected(capsys, plan, picture, second, picture, "--save", tmp_path / "drawn")
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == [
        "noise_detections.png",
        "noise_detections_2.png",
        "noise_detections_3.png",
    ]


def test_an_input_that_names_nothing_is_told_before_any_work(
    plan: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    found = tmp_path / "out.json"
    for absent, said in (
        (tmp_path / "absent.png", "no such file or folder"),
        (tmp_path / "empty", "no pictures in this folder"),
        (tmp_path / "**/*.bmp", "no picture matches"),
    ):
        message = fails(capsys, "detect", plan, picture, absent, "--json", found)
        assert f"{absent}: " in message
        assert said in message
    assert not found.exists()
