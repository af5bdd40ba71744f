"""Labels and datasets: what is read, and what is refused."""

from pathlib import Path

import pytest

from plugrt.plugins import ModelError, PluginError
from yolo_example.evaluation import (
    Dataset,
    LabelledBox,
    LabelledPicture,
    label_path,
    read_dataset,
    read_labels,
)


def test_labels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.25 1 0.5\n\n  12\t.1 .2 3e-1 1.00001  \n")
    assert read_labels(path) == (
        LabelledBox(0, 0.5, 0.25, 1, 0.5, 1),
        LabelledBox(12, 0.1, 0.2, 0.3, 1.00001, 3),
    )
    path.write_text("")
    assert read_labels(path) == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 .5 .5 .2", "4 values; a line holds 5"),
        ("0 .5 .5 .2 .2 .9", "6 values"),
        ("0 .1 .1 .2 .1 .2 .2", "outlines are not supported"),
        ("cat .5 .5 .2 .2", "class 'cat' is not a whole number"),
        ("-1 .5 .5 .2 .2", "class '-1'"),
        ("0 .5 half .2 .2", "'half' is not a number from 0 to 1"),
        ("0 .5 .5 nan .2", "'nan' is not"),
        ("0 50 .5 .2 .2", "'50' is not a number from 0 to 1"),
        ("0 .5 .5 0 .2", "must be above 0"),
        ("0 .5 .5 .2 -.00001", "must be above 0"),
    ],
)
def test_malformed_labels_are_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"0 .5 .5 .1 .1\n{line}\n")
    with pytest.raises(ModelError, match=said) as caught:
        read_labels(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"0 .5 \xff")
    with pytest.raises(ModelError, match="byte offset 5"):
        read_labels(path)


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("set/images/a.jpg", "set/labels/a.txt"),
        ("images/set/images/day/a.b.png", "images/set/labels/day/a.b.txt"),
        ("VOC/JPEGImages/a.jpg", "VOC/labels/a.txt"),
        ("day/a.jpg", "day/a.txt"),
        ("day/images", "day/images.txt"),
    ],
)
def test_where_labels_are(picture: str, labels: str) -> None:
    assert label_path(Path(picture)) == Path(labels)


def test_labels_may_be_beside_the_picture(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    beside = tmp_path / "images/a.txt"
    beside.write_text("")
    assert label_path(tmp_path / "images/a.jpg") == beside


def names_of(dataset: Dataset) -> list[str]:
    return [picture.path.name for picture in dataset.pictures]


def test_a_folder_is_a_dataset(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert names_of(dataset) == ["0.png", "1.png", "2.png"]
    assert dataset.object_count == 3
    assert dataset.names == ()
    assert read_dataset(folder / "images/day") == dataset


def test_a_yaml_file_is_a_dataset(folder: Path) -> None:
    path = folder / "set.yaml"
    path.write_text("path: .\nval: images\ntrain: [images/day]\nnames:\n  0: a\n  1: b\n  2: c\n")
    dataset = read_dataset(path)
    assert dataset.names == ("a", "b", "c")
    assert names_of(dataset) == ["0.png", "1.png", "2.png"]
    assert read_dataset(path, split="train").pictures == dataset.pictures
    assert read_dataset(path, names=["x", "y", "z"]).names == ("x", "y", "z")
    path.write_text("path: ../set\nval: images\nnc: 3\nnames: [a, b, 5]\n")
    assert read_dataset(path).names == ("a", "b", "5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("val: [images\n", ":2: not YAML"),
        ("- 1\n", "not a description"),
        ("val: 5\n", "val is"),
        ("val: images\nnames: 7\n", "names is 7"),
        ("val: images\nnames: {0: a, 2: b}\n", "numbers of names are not 0 to 1"),
        ("val: images\nnames: [a, b]\nnc: 3\n", "nc is 3, but there are 2 names"),
        ("train: images\n", "no 'val'; its parts are: train"),
        ("val: pictures\n", "pictures is not found"),
        ("path: 3\nval: images\n", "path is 3"),
        ("val: images\nnames: [a, b]\n", "class 2, but the dataset has 2 classes, 0 to 1"),
    ],
)
def test_wrong_yaml_files_are_refused(folder: Path, text: str, said: str) -> None:
    path = folder / "set.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=said):
        read_dataset(path)


def test_without_pyyaml_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(PluginError, match="PyYAML is not installed"):
        read_dataset(folder / "set.yaml")


def test_a_data_file_and_a_list_are_datasets(folder: Path) -> None:
    (folder / "list.txt").write_text(
        f"images/day/2.png\n\n{folder}/images/day/0.png\n", encoding="utf-8"
    )
    (folder / "my.names").write_text("a\nb\nc\n")
    data = folder / "my.data"
    data.write_text("classes=3\nvalid = list.txt\ntrain=images\nnames = my.names\n")
    dataset = read_dataset(data)
    assert names_of(dataset) == ["2.png", "0.png"]
    assert dataset.names == ("a", "b", "c")
    assert len(read_dataset(data, split="train").pictures) == 3
    assert read_dataset(folder / "list.txt").pictures == dataset.pictures
    data.write_text("names = my.names\n")
    with pytest.raises(ModelError, match="there is no valid=FILE"):
        read_dataset(data)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    listed = folder / "list.txt"
    listed.write_text("images/day/0.png\nimages/day/9.png\n")
    with pytest.raises(ModelError, match=r"list\.txt:2: images/day/9\.png is not found"):
        read_dataset(listed)
    listed.write_text("\n")
    with pytest.raises(ModelError, match="names no picture"):
        read_dataset(listed)
    with pytest.raises(ModelError, match="cannot be read"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(ModelError, match="not UTF-8 text; give a folder"):
        read_dataset(folder / "images/day/0.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="there are no pictures"):
        read_dataset(tmp_path / "empty")


def test_missing_labels(folder: Path) -> None:
    (folder / "labels/day/1.txt").unlink()
    with pytest.raises(ModelError, match=r"labels/day/1\.txt, are missing"):
        read_dataset(folder)
    assert read_dataset(folder, allow_unlabelled=True).pictures[1].boxes == ()


def test_a_labelled_picture_knows_its_file(folder: Path) -> None:
    picture = read_dataset(folder).pictures[0]
    assert isinstance(picture, LabelledPicture)
    assert picture.label_path == folder / "labels/day/0.txt"
