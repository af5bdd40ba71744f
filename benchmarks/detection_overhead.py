"""What a detector does beside its network: python -m benchmarks.detection_overhead --json FILE.

YOLOv3-tiny at 416 x 416 with random weights. Every call gets a picture that was decoded just
before. Random weights find boxes anywhere, so thresholds are chosen that leave a wanted number
of candidates to the suppression of overlaps: some tens as in a street, and many hundreds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import plugrt
from benchmarks.alternating import ratio
from benchmarks.machine import describe
from plugrt.plugins import Array
from yolo_example.detection import Detector, open_picture
from yolo_example.layers import DetectionLayer
from yolo_example.parsing import DarknetParser, read_model
from yolo_example.parsing.random_weights import write_random_weights

CFG = "darknet/cfg/pjreddie/yolov3-tiny.cfg"
PICTURE = "images/darknet/dog.jpg"
LARGE = (1080, 1920)
CANDIDATES = (30, 800)
OVERLAP = 0.45


@contextmanager
def yolov3_tiny(cfg: Path, folder: Path, threads: int) -> Iterator[plugrt.Engine]:
    """The detector with weights from seed 0, tuned for one picture."""
    weights = folder / "random.weights"
    write_random_weights(read_model(cfg).layers, 0, weights)
    network = plugrt.Network()
    DarknetParser().parse(cfg, weights, network)
    with plugrt.build(network, plugrt.BuilderConfig(threads=threads)) as engine:
        yield engine


def large_picture(folder: Path) -> Path:
    """Soft colors with some noise, as a JPEG of a usual size."""
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (9, 16, 3), np.uint8))
    soft = np.asarray(small.resize(LARGE[::-1], Image.Resampling.BICUBIC), np.int16)
    noisy = soft + random.integers(-12, 13, (*LARGE, 3))
    path = folder / "large.jpg"
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def scores_of(engine: plugrt.Engine, detector: Detector, picture: Image.Image) -> Array:
    """The score of every class at every anchor, in descending order."""
    with engine.create_context() as context:
        outputs = context.execute({detector.input.name: detector.prepare(picture)[0]})
    found = []
    for name, values in outputs.items():
        layer = engine.layers[name]
        assert isinstance(layer, DetectionLayer)
        planes = values.reshape(layer.anchor_count, 5 + layer.classes, -1)
        found.append((planes[:, 4:5] * planes[:, 5:]).ravel())
    return np.sort(np.concatenate(found))[::-1]


def measure(
    engine: plugrt.Engine, path: Path, letter_box: bool, candidates: int, seconds: float
) -> dict[str, object]:
    """One cell: medians of every part, and what is not the network relative to it."""
    detector = Detector(engine, letter_box=letter_box)
    picture = open_picture(path)
    threshold = float(scores_of(engine, detector, picture)[candidates])
    parts: dict[str, list[float]] = {
        name: [] for name in ("decoding", "preparation", "network", "boxes", "call")
    }
    detections = len(detector.detect(picture, threshold, OVERLAP))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(parts["call"]) < 10:
        start = time.perf_counter()
        picture = open_picture(path)
        opened = time.perf_counter()
        detector.detect(picture, threshold, OVERLAP)
        done = time.perf_counter()
        timing = detector.timing
        for name, value in zip(
            parts,
            (opened - start, timing.preparation, timing.network, timing.boxes, done - opened),
            strict=True,
        ):
            parts[name].append(value)
    times = {name: np.array(values) for name, values in parts.items()}
    detector.close()
    return {
        "picture": f"{picture.width} x {picture.height}",
        "preparation": detector.preparation.value,
        "candidates": candidates,
        "detections": detections,
        "calls": len(parts["call"]),
        "median_ms": {k: round(float(np.median(v)) * 1e3, 4) for k, v in times.items()},
        "ratio_to_network": ratio(
            times["preparation"] + times["boxes"], times["network"]
        ).as_dict(),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="per cell; there are eight")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    data = os.environ.get("PLUGRT_DATA")
    if not data:
        print("set PLUGRT_DATA to the folder of models and pictures", file=sys.stderr)
        return 2
    cells = []
    with (
        TemporaryDirectory() as name,
        yolov3_tiny(Path(data, CFG), Path(name), options.threads) as engine,
    ):
        for path in (Path(data, PICTURE), large_picture(Path(name))):
            for letter_box in (False, True):
                for candidates in CANDIDATES:
                    cells.append(measure(engine, path, letter_box, candidates, options.seconds))
                    print(json.dumps(cells[-1]), flush=True)
    if options.json:
        facts = describe("plugrt-yolo", "pillow", "onednn-cpu-gomp")
        result = {"machine": facts, "net": "yolov3-tiny", "threads": options.threads,
                  "cells": cells}  # fmt: skip
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
