"""Options that commands have in common: how a plan is used on pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from plugrt import Engine

from ..detection import Detector
from ..detection.separate_stages import DEFAULT_OVERLAP, DEFAULT_THRESHOLD
from ..parsing.class_names import read_names
from .argument_types import fraction, positive


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The first argument."""
    parser.add_argument("plan", type=Path, metavar="PLAN", help="made by plugrt build")


def add_pictures(parser: argparse.ArgumentParser, metavar: str) -> None:
    """Declare the pictures, `inputs`."""
    parser.add_argument(
        "inputs", nargs="+", metavar=metavar,
        help="picture, folder (with those below), or quoted pattern such as 'day-*/**/*.jpg'",
    )  # fmt: skip


def add_names(parser: argparse.ArgumentParser) -> None:
    """Declare --names."""
    parser.add_argument(
        "--names", type=Path, metavar="FILE",
        help="names of the plan's classes, one per line (default: those in the plan)",
    )  # fmt: skip


def add_detection_options(
    parser: argparse.ArgumentParser, threshold: float | None = None, overlap: float | None = None
) -> None:
    """What decides about detections; `threshold` and `overlap` are the command's own defaults."""
    least, largest = (
        f"{usual:g}, or the plan's" if given is None else f"{given:g}"
        for given, usual in ((threshold, DEFAULT_THRESHOLD), (overlap, DEFAULT_OVERLAP))
    )
    parser.add_argument(
        "--threshold", type=fraction, default=threshold, metavar="T", help=f"least score ({least})"
    )
    parser.add_argument(
        "--nms", type=fraction, default=overlap, metavar="T",
        help=f"largest intersection over union of two boxes of a class ({largest})",
    )  # fmt: skip
    parser.add_argument(
        "--letter-box", action=argparse.BooleanOptionalAction, default=None,
        help="keep the picture's proportions (default: as the plan says)",
    )  # fmt: skip


def add_execution_options(parser: argparse.ArgumentParser) -> None:
    """Where the network runs, and how many pictures and threads at a time."""
    parser.add_argument(
        "--batch", type=positive, default=1, metavar="N",
        help="pictures that go through the network together (1)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="size of the team (default: the plan's)"
    )
    parser.add_argument(
        "--device", metavar="NAME",
        help="cpu, cuda, or cuda:1 for the second GPU (default: what the plan was built for)",
    )  # fmt: skip


def load_engine(options: argparse.Namespace) -> Engine:
    """The plan on the device that is wanted."""
    return Engine.load(options.plan, device=options.device)


def given_names(options: argparse.Namespace) -> tuple[str, ...]:
    """Those of --names, else none."""
    return read_names(options.names) if options.names else ()


def create_detector(engine: Engine, options: argparse.Namespace) -> Detector:
    """The detector that the options describe."""
    return Detector(
        engine,
        names=given_names(options),
        letter_box=options.letter_box,
        threads=options.threads,
        batch_size=options.batch,
    )
