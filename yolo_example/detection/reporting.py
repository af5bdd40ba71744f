"""Detections as text, as JSON, and as annotated pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, BinaryIO

from PIL import Image

from ..replacing import replacing
from .boxes import Detection

JPEG_SUFFIXES = (".jpg", ".jpeg")
JPEG_QUALITY = 92


@dataclass(frozen=True)
class PictureResult:
    """What was found in one picture of this size."""

    path: Path
    width: int
    height: int
    detections: Sequence[Detection]


def as_lines(result: PictureResult) -> list[str]:
    """One line per detection for people and for `grep`."""
    if not result.detections:
        return [f"{result.path}: nothing found"]
    return [
        f"{result.path}: {d.name} {d.score:.1%} at " + ", ".join(f"{place:.0f}" for place in d.box)
        for d in result.detections
    ]


def as_json(results: Iterable[PictureResult]) -> str:
    """A list with, per picture, its path, size and detections; boxes in pixels."""
    return json.dumps([as_plain(result) for result in results], indent=2) + "\n"


def as_plain(result: PictureResult) -> dict[str, Any]:
    """The result as JSON knows it."""
    corners = ("left", "top", "right", "bottom")
    return {
        "image": str(result.path),
        "width": result.width,
        "height": result.height,
        "detections": [
            {
                "class": d.class_index,
                "name": d.name,
                "score": d.score,
                "box": dict(zip(corners, d.box, strict=True)),
            }
            for d in result.detections
        ],
    }


def times_per_picture(seconds: Mapping[str, float], pictures: int) -> str:
    """What every part of the work took of a picture, from what all took."""
    return "per picture: " + ", ".join(
        f"{name} {1000 * value / pictures:.2f} ms" for name, value in seconds.items()
    )


class JsonList:
    """Writes a JSON list item by item, so that it need not be in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_empty = True

    def add(self, item: object) -> None:
        """Write one more item."""
        start = b"[\n" if self._is_empty else b",\n"
        self._file.write(start + indent(json.dumps(item, indent=2), "  ").encode())
        self._is_empty = False

    def close(self) -> None:
        """Write the end; the file stays open."""
        self._file.write(b"[]\n" if self._is_empty else b"\n]\n")
        self._file.flush()


class AnnotatedPaths:
    """Where annotated pictures go in a folder, each by a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._uses: dict[str, int] = {}

    def of(self, source: Path) -> Path:
        """The path for a picture; asked again, another one."""
        suffix = source.suffix if source.suffix.lower() in JPEG_SUFFIXES else ".png"
        name = f"{source.stem}_detections"
        uses = self._uses[name + suffix] = self._uses.get(name + suffix, 0) + 1
        return self.folder / f"{name}{suffix if uses == 1 else f'_{uses}{suffix}'}"


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture. Raises FileError where it cannot."""
    is_jpeg = path.suffix.lower() in JPEG_SUFFIXES
    options = {"quality": JPEG_QUALITY} if is_jpeg else {}
    with replacing(path) as file:
        picture.save(file, "JPEG" if is_jpeg else "PNG", **options)
