"""Scenes by the ten thousand, drawn by all processors into two arrays."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..scenes import render_scene
from ..scenes.scene import HEIGHT, WIDTH

MOST_OBJECTS = 40
CHUNK = 64

Pictures = npt.NDArray[np.uint8]
Targets = npt.NDArray[np.float32]


def draw_scenes(split: str, first: int, count: int, processes: int) -> tuple[Pictures, Targets]:
    """Pictures uint8 [count, 3, height, width]; targets float32 [count, MOST_OBJECTS, 5]: class
    (-1 for none), centre, width and height in pixels. Objects beyond the most are dropped, the
    farthest first."""
    starts = range(first, first + count, CHUNK)
    tasks = [(split, start, min(CHUNK, first + count - start)) for start in starts]
    pictures = np.empty((count, 3, HEIGHT, WIDTH), np.uint8)
    targets = np.empty((count, MOST_OBJECTS, 5), np.float32)
    with ProcessPoolExecutor(processes) as pool:
        for start, drawn in zip(starts, pool.map(_draw_chunk, tasks), strict=True):
            part = slice(start - first, start - first + len(drawn[0]))
            pictures[part], targets[part] = drawn
    return pictures, targets


def kept_scenes(
    folder: Path | None, split: str, first: int, count: int, processes: int
) -> tuple[Pictures, Targets]:
    """`draw_scenes`, or what an earlier call with the same arguments has left in `folder`."""
    if folder is None:
        return draw_scenes(split, first, count, processes)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{split}-{first}-{count}-{part}.npy" for part in ("pictures", "targets")]
    if not all(path.exists() for path in paths):
        pictures, targets = draw_scenes(split, first, count, processes)
        np.save(paths[0], pictures)
        np.save(paths[1], targets)
    return np.load(paths[0]), np.load(paths[1])


def _draw_chunk(task: tuple[str, int, int]) -> tuple[Pictures, Targets]:
    split, first, count = task
    pictures: list[Pictures] = []
    targets = np.full((count, MOST_OBJECTS, 5), -1, np.float32)
    for k in range(count):
        scene = render_scene(split, first + k)
        pictures.append(scene.pixels.transpose(2, 0, 1))
        for n, box in enumerate(scene.boxes[-MOST_OBJECTS:]):
            targets[k, n] = (
                box.label, (box.left + box.right) / 2, (box.top + box.bottom) / 2,
                box.right - box.left, box.bottom - box.top,
            )  # fmt: skip
    return np.stack(pictures), targets
