"""`plugrt-yolo classify`: tell what pictures show."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing

from ..classification import Classifier
from ..detection.picture_files import find_pictures
from ..detection.reporting import JsonList
from ..detection.tables import name_width
from ..preparation import Preparation
from .argument_types import positive
from .classification_report import (
    PictureClasses,
    as_lines,
    as_plain,
    class_table,
    picture_line,
)
from .detector_options import (
    add_execution_options,
    add_names,
    add_pictures,
    add_plan,
    given_names,
    load_engine,
)
from .json_output import STANDARD_OUTPUT, add_json_option, json_file
from .picture_stream import PictureStream
from .terminal import Terminal
from .work_done import WorkDone

NAME = "classify"
HELP = "tell what pictures show"

A_FEW = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the pictures, and how many classes are told."""
    add_plan(parser)
    add_pictures(parser, "IMAGE")
    add_names(parser)
    parser.add_argument(
        "--top", type=positive, default=5, metavar="K", help="so many classes of each (5)"
    )
    parser.add_argument(
        "--preparation", choices=[kind.value for kind in Preparation],
        default=Preparation.LETTER_BOX.value,
        help=f"how pictures become as large as the input ({Preparation.LETTER_BOX.value})",
    )  # fmt: skip
    add_json_option(parser, "the classes")
    add_execution_options(parser)


def run(options: argparse.Namespace) -> int:
    """Classify every picture that can be read; then name those that cannot."""
    terminal = Terminal()
    paths = find_pictures(options.inputs)
    stream = PictureStream(paths, options.batch)
    work = WorkDone()
    with ExitStack() as stack:
        engine = stack.enter_context(load_engine(options))
        classifier = Classifier(
            engine,
            names=given_names(options),
            preparation=Preparation(options.preparation),
            threads=options.threads,
            batch_size=options.batch,
        )
        stack.enter_context(closing(classifier))
        items = JsonList(stack.enter_context(json_file(options.json))) if options.json else None
        width = name_width(paths)
        advance = stack.enter_context(terminal.progress("classifying", len(paths)))
        for batch in stream.batches(advance):
            found = classifier.classify_many([picture for _, picture in batch], options.top)
            for (path, _), classes in zip(batch, found, strict=True):
                result = PictureClasses(path, classes)
                if items:
                    items.add(as_plain(result))
                if options.json != STANDARD_OUTPUT:
                    _print(terminal, result, len(paths) <= A_FEW, width)
            work.add(len(batch), classifier.timing)
        if items:
            items.close()
    terminal.note(str(work))
    return stream.report(terminal)


def _print(terminal: Terminal, result: PictureClasses, is_one_of_few: bool, width: int) -> None:
    if not terminal.is_interactive:
        terminal.lines(as_lines(result))
    elif is_one_of_few:
        terminal.show(class_table(result))
    else:
        terminal.show(picture_line(result, width))
