"""The numbers of docs/model-card.md: how well the model does on the held-out scenes.

    python -m yolo_example.training.card_table
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from PIL import Image

import plugrt

from ..commands.scenes import HELD_OUT_COUNT
from ..detection import Detector
from ..evaluation import Dataset, Evaluation, Interval, evaluate, map_by_name, read_dataset
from ..model import CFG, NAMES, WEIGHTS
from ..parsing import DarknetParser
from ..scenes import CLASS_NAMES, HELD_OUT, render_scene
from ..scenes.dataset import write_dataset

SCORES = (0.25, 0.4)
OVERLAP = 0.5
"""A box hits an object from this intersection over union on."""


def main() -> None:
    """Print the table in Markdown."""
    network = plugrt.Network()
    DarknetParser(names=str(NAMES)).parse(CFG, WEIGHTS, network)
    with (
        plugrt.build(network, plugrt.BuilderConfig(tune="off")) as engine,
        tempfile.TemporaryDirectory() as folder,
    ):
        write_dataset(Path(folder), HELD_OUT, range(HELD_OUT_COUNT))
        dataset = read_dataset(Path(folder), names=CLASS_NAMES)
        detector = Detector(engine, batch_size=8)
        print("| class | objects | AP@0.5 | AP@[.5:.95] |\n|---|---|---|---|")
        for name in CLASS_NAMES:
            print(_row(name, _alone(detector, dataset, name)))
        print(_row("mean of all", evaluate(detector, dataset)))
        for score in SCORES:
            print(_found_and_missed(detector, score))


def _alone(detector: Detector, dataset: Dataset, name: str) -> Evaluation:
    """One class: of a single one, the mean and its interval are its own."""
    others = {other: "" for other in CLASS_NAMES if other != name}
    return evaluate(detector, dataset, mapping=map_by_name(CLASS_NAMES, dataset.names, others))


def _found_and_missed(detector: Detector, score: float) -> str:
    """Shares of objects found, by size and by how much is visible, and of boxes too many."""
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    boxes = 0
    for seed in range(HELD_OUT_COUNT):
        scene = render_scene(HELD_OUT, seed)
        left = detector.detect(Image.fromarray(scene.pixels), score)
        boxes += len(left)
        for box in scene.boxes:
            corners = (box.left, box.top, box.right, box.bottom)
            same = [d for d in left if d.class_index == box.label]
            best = max(same, key=lambda d: _overlap(d.box, corners), default=None)
            kinds = ("all", _size(corners), _visibility(box.visible))
            wanted.update(kinds)
            if best is not None and _overlap(best.box, corners) >= OVERLAP:
                left.remove(best)
                found.update(kinds)
    shares = ", ".join(f"{kind} {found[kind] / wanted[kind]:.1%}" for kind in sorted(wanted))
    too_many = (boxes - found["all"]) / max(boxes, 1)
    return f"from a score of {score}: found {shares}; boxes too many {too_many:.1%}"


def _size(box: tuple[float, float, float, float]) -> str:
    pixels = ((box[2] - box[0]) * (box[3] - box[1])) ** 0.5
    return "below 16 pixels" if pixels < 16 else "16 to 32" if pixels < 32 else "32 and more"


def _visibility(share: float) -> str:
    return "hidden" if share < 0.6 else "partly hidden" if share < 0.9 else "clear"


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


def _row(name: str, result: Evaluation) -> str:
    values = (
        _value(result.map_50, result.map_50_interval),
        _value(result.map, result.map_interval),
    )
    return f"| {name} | {result.objects} | {' | '.join(values)} |"


def _value(value: float, interval: Interval | None) -> str:
    return f"{value:.3f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")


if __name__ == "__main__":
    main()
