"""Labelled pictures, in the forms in which they are usually kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugrt.plugins import ModelError

from ..detection.picture_files import pictures_below
from ..parsing.cfg_reader import read_key_values
from ..parsing.class_names import read_data_file
from ..text_files import read_text
from .dataset_yaml import DatasetYaml, read_dataset_yaml
from .labels import LabelledBox, label_path, read_labels

DEFAULT_SPLIT = "val"
DATA_KEYS = {"val": "valid"}
"""Darknet's words in `.data` files where they differ."""


@dataclass(frozen=True)
class LabelledPicture:
    """A picture's path and the objects that it shows."""

    path: Path
    boxes: tuple[LabelledBox, ...]
    label_path: Path


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures. `names` are those of the classes, empty where the dataset has none."""

    pictures: tuple[LabelledPicture, ...]
    names: tuple[str, ...] = ()

    @property
    def object_count(self) -> int:
        """How many objects all pictures show."""
        return sum(len(picture.boxes) for picture in self.pictures)


def read_dataset(
    path: Path,
    *,
    split: str = DEFAULT_SPLIT,
    names: Sequence[str] = (),
    allow_unlabelled: bool = False,
) -> Dataset:
    """A dataset with all its labels; pictures are only looked for.

    `path` is a folder (its `images`, where it has one, and all folders below), a Darknet
    `.data` file, an Ultralytics `.yaml` file, or a text file with a picture per line. Of the
    two in the middle `split` says which part is meant. `names` go before those in the files.
    Labels are found by `label_path`; a picture without counts as one without objects where
    `allow_unlabelled` says so.

    Raises ModelError for whatever is missing or malformed, naming file and line.
    """
    kind = path.suffix.lower()
    own_names: tuple[str, ...] = ()
    if path.is_dir():
        pictures = _in_folder(path / "images" if (path / "images").is_dir() else path)
    elif kind in (".yaml", ".yml"):
        described = read_dataset_yaml(path)
        own_names = described.names
        pictures = _of_yaml(described, split)
    elif kind == ".data":
        options = read_key_values(path)
        own_names = read_data_file(path) if {"names", "labels"} & options.keys() else ()
        key = DATA_KEYS.get(split, split)
        if key not in options:
            raise ModelError(f"{path}: there is no {key}=FILE; it names the list of pictures")
        pictures = _of_entry(path, options[key], path.parent)
    else:
        pictures = _in_list(path)
    used_names = tuple(names) or own_names
    labelled = tuple(_labelled(picture, allow_unlabelled) for picture in pictures)
    _check_classes(labelled, used_names)
    return Dataset(labelled, used_names)


def _of_yaml(described: DatasetYaml, split: str) -> list[Path]:
    entries = described.splits.get(split)
    if not entries:
        known = ", ".join(described.splits) or "none"
        raise ModelError(f"{described.path}: there is no {split!r}; its parts are: {known}")
    found: list[Path] = []
    for entry in entries:
        found += _of_entry(described.path, entry, described.root)
    return found


def _of_entry(source: Path, entry: str, root: Path) -> list[Path]:
    """The pictures of a folder or list that another file names, from `root` or from where the
    program runs."""
    for path in (root / entry, Path(entry)):
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _in_list(path)
    raise ModelError(
        f"{source}: {entry} is not found in {root} or the working directory; correct it"
    )


def _in_folder(folder: Path) -> list[Path]:
    found = list(pictures_below(folder))
    if not found:
        raise ModelError(f"{folder}: there are no pictures in this folder or those below it")
    return found


def _in_list(path: Path) -> list[Path]:
    wanted = "a folder with images and labels, a .data or .yaml file, or a list of pictures"
    text = read_text(path, "a list of pictures", wanted)
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if entry := line.strip():
            found.append(_listed(path, number, entry))
    if not found:
        raise ModelError(f"{path}: the list names no picture")
    return found


def _listed(source: Path, number: int, entry: str) -> Path:
    for path in (source.parent / entry, Path(entry)):
        if path.is_file():
            return path
    raise ModelError(
        f"{source}:{number}: {entry} is not found beside the list or in the working directory"
    )


def _labelled(picture: Path, allow_unlabelled: bool) -> LabelledPicture:
    path = label_path(picture)
    if path.is_file():
        return LabelledPicture(picture, read_labels(path), path)
    if not allow_unlabelled:
        raise ModelError(
            f"{picture}: its labels, {path}, are missing; an empty file would say that it shows "
            "nothing, as --allow-unlabelled does for all"
        )
    return LabelledPicture(picture, (), path)


def _check_classes(pictures: Iterable[LabelledPicture], names: Sequence[str]) -> None:
    if names:
        for picture in pictures:
            check_classes(picture, len(names), "the dataset")


def check_classes(picture: LabelledPicture, classes: int, whose: str) -> None:
    """Raise ModelError, naming the line, for a label beyond this number of classes."""
    for box in picture.boxes:
        if box.class_index >= classes:
            raise ModelError(
                f"{picture.label_path}:{box.line}: class {box.class_index}, but {whose} has "
                f"{classes} classes, 0 to {classes - 1}"
            )
