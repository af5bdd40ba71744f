"""Detections as text, as JSON, and as annotated pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """One line per detection for people."""
    if not result.detections:
        return [f"{result.path}: nothing found"]
    return [
        f"{result.path}: {d.name} {d.score:.1%} at " + ", ".join(f"{place:.0f}" for place in d.box)
        for d in result.detections
    ]


def as_json(results: Sequence[PictureResult]) -> str:
    """A list with, per picture, its path, size and detections; boxes in pixels."""
    return json.dumps([_plain(result) for result in results], indent=2) + "\n"


def _plain(result: PictureResult) -> dict[str, Any]:
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


def annotated_path(folder: Path, source: Path, taken: set[Path]) -> Path:
    """Where the annotated `source` goes: a name of its own in `folder`, noted in `taken`."""
    suffix = source.suffix if source.suffix.lower() in JPEG_SUFFIXES else ".png"
    number = 1
    while True:
        extra = "" if number == 1 else f"_{number}"
        path = folder / f"{source.stem}_detections{extra}{suffix}"
        if path not in taken:
            taken.add(path)
            return path
        number += 1


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture. Raises FileError where it cannot."""
    is_jpeg = path.suffix.lower() in JPEG_SUFFIXES
    options = {"quality": JPEG_QUALITY} if is_jpeg else {}
    with replacing(path) as file:
        picture.save(file, "JPEG" if is_jpeg else "PNG", **options)
