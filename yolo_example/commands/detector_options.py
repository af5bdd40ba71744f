"""Options that commands have in common: how a plan is used on pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from plugrt import Engine

from ..detection import Detector
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


def add_detection_options(parser: argparse.ArgumentParser, threshold: float) -> None:
    """What decides about detections; `threshold` is the command's own default."""
    parser.add_argument(
        "--threshold", type=fraction, default=threshold, metavar="T",
        help=f"least score ({threshold:g})",
    )  # fmt: skip
    parser.add_argument(
        "--nms", type=fraction, default=0.45, metavar="T",
        help="largest intersection over union of two boxes of a class (0.45)",
    )  # fmt: skip
    parser.add_argument(
        "--letter-box", action=argparse.BooleanOptionalAction, default=None,
        help="keep the picture's proportions (default: as the plan says)",
    )  # fmt: skip


def add_execution_options(parser: argparse.ArgumentParser) -> None:
    """How many pictures and threads at a time."""
    parser.add_argument(
        "--batch", type=positive, default=1, metavar="N",
        help="pictures that go through the network together (1)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="size of the team (default: the plan's)"
    )


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
