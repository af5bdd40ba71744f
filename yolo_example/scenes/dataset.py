"""Scenes as files: pictures and labels as YOLO tools lay them out."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ..replacing import make_folder, replacing
from .classes import CLASS_NAMES
from .scene import HEIGHT, WIDTH, Scene, render_scene

PICTURES, LABELS, NAMES = "images", "labels", "classes.names"
PICTURE_LIST = "pictures.txt"


def write_dataset(
    folder: Path,
    split: str,
    seeds: range,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Write a scene per seed: `images/NNNNNN.png` and `labels/NNNNNN.txt`; besides
    `classes.names`, and `pictures.txt`, which lists the pictures.

    `progress` is called after every scene. Raises FileError where something cannot be written.
    """
    for part in (PICTURES, LABELS):
        make_folder(folder / part)
    with replacing(folder / NAMES) as file:
        file.write("".join(f"{name}\n" for name in CLASS_NAMES).encode())
    with replacing(folder / PICTURE_LIST) as file:
        file.write("".join(f"{PICTURES}/{seed:06d}.png\n" for seed in seeds).encode())
    for seed in seeds:
        scene = render_scene(split, seed, width, height)
        write_picture(scene, folder / PICTURES / f"{seed:06d}.png")
        with replacing(folder / LABELS / f"{seed:06d}.txt") as file:
            file.write(label_text(scene).encode())
        progress()


def label_text(scene: Scene) -> str:
    """A line per object: class, centre, width and height relative to the picture."""
    height, width, _ = scene.pixels.shape
    lines = []
    for box in scene.boxes:
        centre_x, centre_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        sizes = (box.right - box.left) / width, (box.bottom - box.top) / height
        lines.append(
            f"{box.label} {centre_x / width:.6f} {centre_y / height:.6f} "
            f"{sizes[0]:.6f} {sizes[1]:.6f}\n"
        )
    return "".join(lines)


def write_picture(scene: Scene, path: Path) -> None:
    """The picture as PNG. Raises FileError where it cannot be written."""
    data = io.BytesIO()
    Image.fromarray(scene.pixels).save(data, "PNG", compress_level=1)
    with replacing(path) as file:
        file.write(data.getvalue())
