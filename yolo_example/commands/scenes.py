"""`plugrt-yolo scenes`: street scenes with labels, drawn by the project itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..scenes import HELD_OUT, TRAINING
from ..scenes.dataset import write_dataset
from ..scenes.scene import HEIGHT, WIDTH
from .argument_types import natural, positive
from .terminal import Terminal

NAME = "scenes"
HELP = "draw street scenes with labels, the same for every seed"

HELD_OUT_COUNT = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many, from which seed, and where they go."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR",
        help="for images/, labels/ and classes.names, as plugrt-yolo eval takes them",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=positive, default=HELD_OUT_COUNT, metavar="N",
        help=f"number of scenes ({HELD_OUT_COUNT})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="S", help="seed of the first scene (0)"
    )
    parser.add_argument(
        "--split", choices=(HELD_OUT, TRAINING), default=HELD_OUT,
        help="seeds of different splits have no scene in common (held-out)",
    )  # fmt: skip
    parser.add_argument(
        "--scale", type=positive, default=1, metavar="K",
        help=f"pictures K times as large as {WIDTH} x {HEIGHT} (1)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Draw and write them."""
    terminal = Terminal()
    seeds = range(options.seed, options.seed + options.count)
    with terminal.progress("drawing", len(seeds)) as advance:
        write_dataset(
            options.output, options.split, seeds, width=WIDTH * options.scale,
            height=HEIGHT * options.scale, progress=lambda: advance(1),
        )  # fmt: skip
    terminal.note(f"{len(seeds)} scenes in {options.output}")
