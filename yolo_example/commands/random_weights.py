"""`plugrt-yolo random-weights`: weights that fit a definition."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..parsing import NEW_HEADER, OLD_HEADER, read_model
from ..parsing.random_weights import write_random_weights
from .argument_types import natural, positive
from .command import PROGRAM

NAME = "random-weights"
HELP = "make weights that fit a .cfg file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The definition, where the weights go, and what they are drawn from."""
    parser.add_argument("cfg", type=Path, metavar="CFG", help="Darknet network definition")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the file to write"
    )
    parser.add_argument(
        "--seed", type=natural, required=True, metavar="N", help="what the values depend on"
    )
    parser.add_argument(
        "--header", choices=("new", "old"), default="new",
        help="with 64 or 32 bits for the number of pictures seen (new)",
    )  # fmt: skip
    parser.add_argument(
        "--cutoff", type=positive, default=0, metavar="N", help="the first N layers only"
    )


def run(options: argparse.Namespace) -> None:
    """Write the file."""
    model = read_model(options.cfg, cutoff=options.cutoff)
    for note in model.notes:
        print(f"{PROGRAM}: note: {note}", file=sys.stderr)
    header = OLD_HEADER if options.header == "old" else NEW_HEADER
    write_random_weights(model.layers, options.seed, options.output, header)
