"""`plugrt-yolo export-caffe`: a Darknet model as files of Caffe."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plugrt import Network

from ..caffe_export import export_model
from ..parsing import DarknetParser, read_model
from ..parsing.sections import EPSILONS
from .argument_types import positive
from .command import PROGRAM

NAME = "export-caffe"
HELP = "write a Darknet model as a prototxt and a caffemodel"

SUFFIXES = (".prototxt", ".caffemodel", ".cfg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, where the two files go, and how they are written."""
    parser.add_argument("cfg", type=Path, metavar="CFG", help="Darknet network definition")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="its weights")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PREFIX",
        help="write PREFIX.prototxt and PREFIX.caffemodel (CFG without its ending)",
    )  # fmt: skip
    parser.add_argument(
        "--fold", action="store_true", help="take batch normalization into the weights before it"
    )
    parser.add_argument(
        "--batch-norm", choices=tuple(EPSILONS), default="opencv",
        help=DarknetParser.batch_norm.doc,
    )  # fmt: skip
    parser.add_argument(
        "--cutoff", type=positive, default=0, metavar="N", help="the first N layers only"
    )


def run(options: argparse.Namespace) -> None:
    """Write the files, and say what they are."""
    wanted = {"batch_norm": options.batch_norm, "cutoff": options.cutoff}
    model = read_model(options.cfg, **wanted)
    network = Network()
    parsed = DarknetParser(**wanted).parse(options.cfg, options.weights, network)
    for note in parsed.notes:
        print(f"{PROGRAM}: note: {note}", file=sys.stderr)
    prefix = options.output or options.cfg
    if prefix.suffix in SUFFIXES:
        prefix = prefix.with_suffix("")
    exported = export_model(model, network, prefix, fold=options.fold)
    print(f"{exported.prototxt}: {exported.layers} layers")
    print(f"{exported.caffemodel}: their weights")
    for head, blob in exported.heads.items():
        print(f"{head} is left out: it reads {blob}")
