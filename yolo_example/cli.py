"""The command `plugrt-yolo`: detection of objects, and random weights."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from plugrt import Engine
from plugrt.plugins import PlugrtError

from .detection import (
    Detector,
    PictureResult,
    as_json,
    as_lines,
    draw_detections,
    open_picture,
)
from .detection.reporting import annotated_path, save_picture
from .parsing import NEW_HEADER, OLD_HEADER, read_model
from .parsing.class_names import read_names
from .parsing.random_weights import write_random_weights
from .replacing import FileError, replacing

PROGRAM = "plugrt-yolo"
FAILED = 2
STANDARD_OUTPUT = "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0, or 2 after one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except PlugrtError as error:
        print(f"{PROGRAM}: {_one_line(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return 0


def detect(options: argparse.Namespace) -> None:
    """Find objects in pictures; nothing is written before all pictures are done."""
    names = read_names(options.names) if options.names else ()
    for path in options.images:
        open_picture(path)  # a wrong one among many is told before any work
    results = []
    with Engine.load(options.plan) as engine:
        detector = Detector(
            engine, names=names, letter_box=options.letter_box, threads=options.threads
        )
        for path in options.images:
            picture = open_picture(path)
            found = detector.detect(picture, options.threshold, options.nms)
            results.append(PictureResult(path, picture.width, picture.height, found))
    if options.json != STANDARD_OUTPUT:
        for result in results:
            print(*as_lines(result), sep="\n")
    if options.save:
        _save_pictures(results, options.save)
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(as_json(results))
    elif options.json:
        with replacing(Path(options.json)) as file:
            file.write(as_json(results).encode())


def random_weights(options: argparse.Namespace) -> None:
    """Write a weights file that fits a definition."""
    model = read_model(options.cfg, cutoff=options.cutoff)
    for note in model.notes:
        print(f"{PROGRAM}: note: {note}", file=sys.stderr)
    header = OLD_HEADER if options.header == "old" else NEW_HEADER
    write_random_weights(model.layers, options.seed, options.output, header)


def _save_pictures(results: Sequence[PictureResult], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: the folder cannot be made ({error.strerror})") from None
    taken: set[Path] = set()
    for result in results:
        path = annotated_path(folder, result.path, taken)
        save_picture(draw_detections(open_picture(result.path), result.detections), path)
        print(f"{result.path}: drawn in {path}", file=sys.stderr)


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"{self.prog}: {_one_line(message)}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(PROGRAM, description="Darknet detectors in plugrt.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_OneLineParser)
    _add_detect(commands.add_parser("detect", help="find the objects in pictures"))
    _add_random_weights(
        commands.add_parser("random-weights", help="make weights that fit a .cfg file")
    )
    return parser


def _add_detect(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=detect)
    parser.add_argument("plan", type=Path, help="engine file, made by plugrt build")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument("--names", type=Path, metavar="FILE", help="class names, one per line")
    parser.add_argument(
        "--threshold", type=_fraction, default=0.25, metavar="T", help="least score (0.25)"
    )
    parser.add_argument(
        "--nms", type=_fraction, default=0.45, metavar="T",
        help="largest intersection over union of two boxes of a class (0.45)",
    )  # fmt: skip
    parser.add_argument(
        "--json", metavar="FILE", help=f"write the detections; {STANDARD_OUTPUT} prints them"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="draw them into copies there")
    parser.add_argument(
        "--letter-box", action=argparse.BooleanOptionalAction, default=None,
        help="keep the picture's proportions (default: as the plan says)",
    )  # fmt: skip
    parser.add_argument("--threads", type=_positive, metavar="N", help="size of the team")


def _add_random_weights(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=random_weights)
    parser.add_argument("cfg", type=Path, help="Darknet network definition")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--seed", type=_natural, required=True, metavar="N")
    parser.add_argument("--header", choices=("new", "old"), default="new")
    parser.add_argument(
        "--cutoff", type=_positive, default=0, metavar="N", help="the first N layers only"
    )


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    value = _natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
