"""Copies of definitions that a judge runs in seconds: smaller pictures, fewer filters."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from plugrt import ModelError
from yolo_example.parsing import DarknetModel, read_model

SECTION = re.compile(r"(?m)^\s*\[\s*(\w+)\s*\]")
OPTION = re.compile(r"\s*(\w+)\s*=\s*([^#;\s]+)\s*(?:[#;].*)?$")
SMALL_SIZES = ((64, 96), (96, 128), (128, 160))
"""Heights and widths, unequal to tell one from the other, that poolings divide evenly."""
NARROW_FACTORS = (4, 2)
HEADS = ("yolo", "Gaussian_yolo", "region", "detection", "softmax")

TREE = "animal -1\nvehicle -1\ndog 0\ncat 0\ncar 1\nbus 1\npoodle 2\n"
"""A tree of classes: names and parents."""

Change = Callable[[int, str, str], str]
"""From the section's position, an option's name and its value to the new value."""


def parameters(folder: str, slow: Callable[[Path], bool] = lambda path: False) -> list[object]:
    """Definitions below PLUGRT_DATA as parameters of a test, those marked for which `slow` is
    true; the folder alone where it is unset."""
    root = os.environ.get("PLUGRT_DATA")
    if not root:
        return [pytest.param(folder, id="PLUGRT_DATA")]
    base = Path(root, folder)
    paths = sorted(base.rglob("*.cfg"))
    return [
        pytest.param(
            f"{folder}/{path.relative_to(base)}",
            id=path.stem,
            marks=[pytest.mark.slow] if slow(path) else [],
        )
        for path in paths
    ]


def written(sections: str, net: str = "channels=4 height=13 width=18") -> str:
    """A definition from sections separated by `|`, their options by blanks."""
    text = ""
    for section in (f"net {net}", *sections.split("|")):
        name, *options = section.split()
        text += f"[{name}]\n" + "".join(f"{option}\n" for option in options)
    return text


def changed(text: str, change: Change) -> str:
    """A definition with other values; lines whose value stays are as they were."""
    position, lines = -1, []
    for line in text.splitlines():
        option = OPTION.match(line)
        if SECTION.match(line):
            position += 1
        elif option and position >= 0:
            value = change(position, option[1], option[2])
            if value != option[2]:
                line = f"{option[1]}={value}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def for_one_picture(text: str) -> str:
    """A definition that takes one picture at a time."""

    def change(position: int, name: str, value: str) -> str:
        return "1" if position == 0 and name in ("batch", "subdivisions") else value

    return changed(text, change)


def resized(text: str, height: int, width: int) -> str:
    """A definition for pictures of this size; what [crop] cuts out shrinks with them."""
    old: dict[str, int] = {}
    new = {"height": height, "width": width}

    def change(position: int, name: str, value: str) -> str:
        if position == 0 and name in new:
            old.setdefault(name, int(value))
            return str(new[name])
        side = name.removeprefix("crop_")
        if side != name and side in new:
            return str(int(value) * new[side] // old[side])
        return value

    return changed(text, change)


def narrowed(text: str, factor: int) -> str:
    """A definition with so many times fewer filters, where no detections or classes come of
    them."""
    names = SECTION.findall(text)
    feeds_head = {k - 1 for k, name in enumerate(names) if name in HEADS}

    def change(position: int, name: str, value: str) -> str:
        if name in ("filters", "output") and position not in feeds_head:
            return str(max(int(value) // factor, 1))
        return value

    return changed(text, change)


def small_copy(source: Path, folder: Path, *, narrow_above: int) -> Path:
    """A copy for one small picture, as small as the poolings allow. Where it still has more than
    `narrow_above` weights, it loses filters, as many as its groups allow.

    A definition that is refused at every size is copied as it is.
    """
    copy = folder / source.name
    text = for_one_picture(source.read_text(encoding="utf-8"))
    version = _first_readable([*_small_versions(text), text], copy)
    if version is not None and weight_count(read_model(copy)) > narrow_above:
        narrow = [narrowed(version, factor) for factor in NARROW_FACTORS]
        _first_readable([*narrow, version], copy)
    return copy


def weight_count(model: DarknetModel) -> int:
    """How many values the weights file holds."""
    return sum(blob.count for layer in model.layers for blob in layer.blobs())


def _first_readable(versions: Sequence[str], copy: Path) -> str | None:
    """Write the first version that plugrt reads, else the last one."""
    for version in versions:
        copy.write_text(version, encoding="utf-8")
        with suppress(ModelError):
            read_model(copy)
            return version
    return None


def _small_versions(text: str) -> list[str]:
    sides = re.findall(r"(?m)^\s*(?:height|width)\s*=\s*(\d+)", text)
    if not sides or int(sides[0]) <= SMALL_SIZES[0][0]:
        return []
    return [resized(text, height, width) for height, width in SMALL_SIZES]
