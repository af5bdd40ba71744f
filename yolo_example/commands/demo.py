"""`plugrt-yolo demo`: the whole way with the project's own detector, from cfg to mAP.

Nothing is downloaded: model and scenes are the project's.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image

import plugrt
from plugrt import Engine, Network
from plugrt.plugins import PluginError

from ..detection import Detection, Detector, PictureResult, as_lines, draw_detections
from ..detection.reporting import save_picture
from ..detection.tables import detection_table
from ..evaluation import Evaluation, Interval, evaluate, read_dataset
from ..model import CFG, NAMES, WEIGHTS
from ..parsing import DarknetParser
from ..replacing import make_folder
from ..scenes import HELD_OUT, render_scene
from ..scenes.dataset import PICTURE_LIST, write_dataset, write_picture
from ..scenes.scene import HEIGHT, WIDTH
from .argument_types import natural, positive
from .command import DONE, FAILED
from .scenes import HELD_OUT_COUNT
from .terminal import Terminal

NAME = "demo"
HELP = "detect road users with the project's own model on scenes of its own"

SCENE = 27
SCALE = 2
REPETITIONS = 20
THRESHOLD, OVERLAP = 0.45, 0.45


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where things go, and how much is shown."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("build", "demo"), metavar="DIR",
        help="for the plan, the pictures and the scenes (build/demo)",
    )  # fmt: skip
    parser.add_argument(
        "--scene", type=natural, default=SCENE, metavar="S",
        help=f"which held-out scene to look at ({SCENE})",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=natural, default=HELD_OUT_COUNT, metavar="N",
        help=f"held-out scenes to measure mAP on, 0 for none ({HELD_OUT_COUNT})",
    )  # fmt: skip
    parser.add_argument("--threads", type=positive, metavar="N", help="size of the team")


def run(options: argparse.Namespace) -> int:
    """Build, detect, draw, measure; without pycocotools all but the last."""
    terminal = Terminal()
    folder: Path = options.output
    make_folder(folder)
    plan = folder / "street.plan"
    terminal.lines([_build(plan)])
    with Engine.load(plan) as engine:
        detector = Detector(engine, threads=options.threads)
        try:
            drawn = _detect(detector, folder, options.scene, terminal)
            status = _measure(detector, folder, options.count, terminal)
        finally:
            detector.close()
    terminal.lines([f"the annotated picture is {drawn}"])
    return status


def _build(plan: Path) -> str:
    """Build the plan as `plugrt build` does; what was done, in a line."""
    start = time.perf_counter()
    network = Network()
    DarknetParser(names=str(NAMES)).parse(CFG, WEIGHTS, network)
    with plugrt.build(network) as engine:
        engine.save(plan)
    return f"{CFG.name} built and tuned in {time.perf_counter() - start:.1f} s: {plan}"


def _detect(detector: Detector, folder: Path, seed: int, terminal: Terminal) -> Path:
    """Detect in one scene, print what was found and how long it took; the drawing's path."""
    scene = render_scene(HELD_OUT, seed, WIDTH * SCALE, HEIGHT * SCALE)
    source, target = folder / "scene.png", folder / "scene_detections.png"
    write_picture(scene, source)
    picture = Image.fromarray(scene.pixels)
    found = detector.detect(picture, THRESHOLD, OVERLAP)
    save_picture(draw_detections(picture, found), target)
    result = PictureResult(source, picture.width, picture.height, found)
    if terminal.is_interactive:
        terminal.show(detection_table(result))
    else:
        terminal.lines(as_lines(result))
    terminal.lines([_times(detector, picture, found)])
    return target


def _times(detector: Detector, picture: Image.Image, found: list[Detection]) -> str:
    """Medians of several runs: the first ones warm up caches and threads."""
    timings = []
    for _ in range(REPETITIONS):
        detector.detect(picture, THRESHOLD, OVERLAP)
        timings.append(detector.timing)
    parts = {
        "preparation": sorted(t.preparation for t in timings),
        "network": sorted(t.network for t in timings),
        "boxes": sorted(t.boxes for t in timings),
    }
    medians = ", ".join(f"{k} {v[REPETITIONS // 2] * 1e3:.2f} ms" for k, v in parts.items())
    return f"{len(found)} objects; median times: {medians}"


def _measure(detector: Detector, folder: Path, count: int, terminal: Terminal) -> int:
    """Print mAP, or why there is none; the exit status."""
    if not count:
        return DONE
    try:
        result = _evaluate(detector, folder, count, terminal)
    except PluginError as error:
        terminal.problem(str(error))
        return FAILED
    terminal.lines(_quality(result))
    return DONE


def _evaluate(detector: Detector, folder: Path, count: int, terminal: Terminal) -> Evaluation:
    """Draw the held-out scenes and measure on them."""
    scenes = folder / "held-out"
    with terminal.progress("drawing held-out scenes", count) as advance:
        write_dataset(scenes, HELD_OUT, range(count), progress=lambda: advance(1))
    # The list: an earlier run may have left more pictures there.
    dataset = read_dataset(scenes / PICTURE_LIST, names=detector.names)
    with terminal.progress("evaluating", count) as advance:
        return evaluate(detector, dataset, advance=advance)


def _quality(result: Evaluation) -> list[str]:
    return [
        f"on {result.images} held-out scenes with {result.objects} objects: "
        f"mAP@0.5 {_share(result.map_50, result.map_50_interval)}, "
        f"mAP@[.5:.95] {_share(result.map, result.map_interval)}",
        "AP@0.5: " + ", ".join(f"{found.name} {found.ap_50:.3f}" for found in result.classes),
    ]


def _share(value: float, interval: Interval | None) -> str:
    return f"{value:.3f}" + (f" ({interval.low:.3f} to {interval.high:.3f})" if interval else "")
