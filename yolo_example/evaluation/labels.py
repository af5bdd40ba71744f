"""Labels in YOLO's format: a text file per picture, `class centre_x centre_y width height` per
line, relative to the picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from plugrt.plugins import ModelError

from ..text_files import read_text

VALUES = 5
ROUNDING = 1e-4
"""So far beyond 0 and 1 a number may be, for what the writer's rounding did."""
PICTURE_FOLDERS = ("images", "JPEGImages")


@dataclass(frozen=True)
class LabelledBox:
    """One object: centre, width and height relative to the picture, and the line it stands in."""

    class_index: int
    centre_x: float
    centre_y: float
    width: float
    height: float
    line: int = 0


def label_path(picture: Path) -> Path:
    """The file with a picture's labels: as the trainers have it, that of the same name in the
    folder `labels` in place of the last `images` (or `JPEGImages`) in the path; where there is
    none, the one beside the picture."""
    beside = picture.with_suffix(".txt")
    parts = beside.parts
    for place in reversed(range(len(parts) - 1)):
        if parts[place] in PICTURE_FOLDERS:
            elsewhere = Path(*parts[:place], "labels", *parts[place + 1 :])
            return beside if beside.is_file() and not elsewhere.is_file() else elsewhere
    return beside


def read_labels(path: Path) -> tuple[LabelledBox, ...]:
    """The objects in one file; an empty file has none.

    Raises ModelError naming file and line when it cannot be read or a line is malformed.
    """
    text = read_text(path, "labels", "a file with a line per object: class, centre and size")
    return tuple(
        _labelled_box(path, number, line.split())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    )


def _labelled_box(path: Path, number: int, words: list[str]) -> LabelledBox:
    where = f"{path}:{number}:"
    if len(words) != VALUES:
        polygon = "; outlines are not supported" if len(words) > 6 and len(words) % 2 else ""
        raise ModelError(
            f"{where} {len(words)} values; a line holds 5, class centre_x centre_y width "
            f"height{polygon}"
        )
    if not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 10):
        raise ModelError(f"{where} class {words[0][:20]!r} is not a whole number from 0 on")
    places = [_place(where, word) for word in words[1:]]
    if min(places[2:]) <= 0:
        raise ModelError(
            f"{where} width and height are {words[3]} and {words[4]}; both must be above 0"
        )
    centre_x, centre_y, width, height = places
    return LabelledBox(int(words[0]), centre_x, centre_y, width, height, number)


def _place(where: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not -ROUNDING <= value <= 1 + ROUNDING:
        raise ModelError(
            f"{where} {word[:20]!r} is not a number from 0 to 1; centre and size are relative to "
            "the picture"
        )
    return value
