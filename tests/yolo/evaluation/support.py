"""Made-up labels and detections."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from yolo_example.evaluation.average_precision import (
    PlacedBox,
)


def write_dataset(folder: Path, labels: Sequence[str]) -> Path:
    """Pictures of 100 x 50 with these labels."""
    for kind in ("images", "labels"):
        (folder / kind / "day").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(labels):
        Image.new("RGB", (100, 50)).save(folder / f"images/day/{number}.png")
        (folder / f"labels/day/{number}.txt").write_text(text)
    return folder


def random_boxes(pictures: int, seed: int) -> tuple[list[list[PlacedBox]], list[list[PlacedBox]]]:
    """Labels of three classes, and detections that find most of them, some twice, some badly."""
    random = np.random.default_rng(seed)
    labels, detections = [], []
    for _ in range(pictures):
        there, found = [], []
        # Ties between pictures, none within.
        scores = random.permutation(20) / 20
        for _ in range(random.integers(0, 6)):
            left, top = random.uniform(0, 300, 2)
            width, height = random.uniform(20, 120, 2)
            box = (left, top, left + width, top + height)
            label = int(random.choice(3, p=(0.6, 0.35, 0.05)))
            there.append(PlacedBox(label, box))
            for _ in range(random.integers(0, 3)):
                moved = tuple(place + random.normal(0, 6) for place in box)
                guess = label if random.random() < 0.8 else int(random.integers(3))
                found.append(PlacedBox(guess, moved, float(scores[len(found)])))
        labels.append(there)
        detections.append(found)
    return labels, detections
