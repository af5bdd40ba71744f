"""`plugrt-yolo detect`: find the objects in pictures."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from pathlib import Path

from PIL import Image

from ..detection import PictureResult, Timing, as_lines, draw_detections
from ..detection.picture_files import find_pictures
from ..detection.reporting import AnnotatedPaths, JsonList, as_plain, save_picture
from ..detection.tables import detection_table, name_width, picture_line
from ..replacing import make_folder
from .detector_options import (
    add_detection_options,
    add_execution_options,
    add_names,
    add_pictures,
    add_plan,
    create_detector,
    load_engine,
)
from .json_output import STANDARD_OUTPUT, add_json_option, json_file
from .picture_stream import PictureStream
from .terminal import Terminal
from .work_done import WorkDone

NAME = "detect"
HELP = "find the objects in pictures"

A_FEW = 5
"""Up to so many pictures have a table each, and are named when their drawing is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the pictures, and what becomes of the detections."""
    add_plan(parser)
    add_pictures(parser, "INPUT")
    add_names(parser)
    add_detection_options(parser)
    add_json_option(parser, "the detections")
    parser.add_argument(
        "--save", type=Path, metavar="DIR", help="draw the detections into copies there"
    )
    add_execution_options(parser)


def run(options: argparse.Namespace) -> int:
    """Detect in every picture that can be read; then name those that cannot."""
    terminal = Terminal()
    paths = find_pictures(options.inputs, leave_out=options.save)
    stream = PictureStream(paths, options.batch)
    with ExitStack() as stack:
        engine = stack.enter_context(load_engine(options))
        detector = stack.enter_context(closing(create_detector(engine, options)))
        report = _Report(options, paths, terminal, stack)
        advance = stack.enter_context(terminal.progress("detecting", len(paths)))
        for batch in stream.batches(advance):
            pictures = [picture for _, picture in batch]
            found = detector.detect_many(pictures, options.threshold, options.nms)
            for (path, picture), detections in zip(batch, found, strict=True):
                result = PictureResult(path, picture.width, picture.height, detections)
                report.add(picture, result)
            report.count(len(batch), detector.timing)
        report.finish()
    report.summarise()
    return stream.report(terminal)


class _Report:
    """Prints, writes and draws the results one by one."""

    def __init__(
        self, options: argparse.Namespace, paths: list[Path], terminal: Terminal, stack: ExitStack
    ) -> None:
        self._terminal = terminal
        self._is_few = len(paths) <= A_FEW
        self._name_width = name_width(paths)
        self._is_printing = options.json != STANDARD_OUTPUT
        self._drawings = AnnotatedPaths(options.save) if options.save else None
        self._json: JsonList | None = None
        if options.json:
            self._json = JsonList(stack.enter_context(json_file(options.json)))
        self._work = WorkDone()
        self._objects = 0

    def add(self, picture: Image.Image, result: PictureResult) -> None:
        """The next result, with its picture."""
        if self._drawings:
            make_folder(self._drawings.folder)
        self._objects += len(result.detections)
        if self._is_printing:
            self._print(result)
        if self._json:
            self._json.add(as_plain(result))
        if self._drawings:
            self._draw(picture, result, self._drawings)

    def count(self, pictures: int, timing: Timing) -> None:
        """So many pictures took this time."""
        self._work.add(pictures, timing)

    def finish(self) -> None:
        """Nothing comes any more."""
        if self._json:
            self._json.close()

    def summarise(self) -> None:
        """Say how much was done, and how fast."""
        if self._drawings and not self._is_few:
            self._terminal.note(f"{self._work.pictures} drawn in {self._drawings.folder}")
        objects = "1 object" if self._objects == 1 else f"{self._objects} objects"
        self._terminal.note(f"{objects} in {self._work}")

    def _print(self, result: PictureResult) -> None:
        if not self._terminal.is_interactive:
            self._terminal.lines(as_lines(result))
        elif self._is_few:
            self._terminal.show(detection_table(result))
        else:
            self._terminal.show(picture_line(result, self._name_width))

    def _draw(self, picture: Image.Image, result: PictureResult, drawings: AnnotatedPaths) -> None:
        path = drawings.of(result.path)
        save_picture(draw_detections(picture, result.detections), path)
        if self._is_few:
            self._terminal.note(f"{result.path}: drawn in {path}")
