"""`plugrt-yolo eval`: how well a detector does on labelled pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ..evaluation import (
    ClassMapping,
    Dataset,
    PictureDetector,
    evaluate,
    map_by_name,
    map_classes,
    read_dataset,
    read_renaming,
)
from ..evaluation.dataset import DEFAULT_SPLIT
from ..evaluation.evaluating import OVERLAP, SAMPLES, THRESHOLD
from ..evaluation.tables import as_lines, as_tables
from ..parsing.class_names import read_names
from .argument_types import natural
from .detector_options import (
    add_detection_options,
    add_execution_options,
    add_names,
    add_plan,
    create_detector,
    load_engine,
)
from .json_output import STANDARD_OUTPUT, add_json_option, json_file
from .terminal import Terminal

NAME = "eval"
HELP = "measure how well a detector does on labelled pictures (mAP)"

A_FEW = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The plan, the dataset, how their classes correspond, and what is computed."""
    add_plan(parser)
    parser.add_argument(
        "dataset", type=Path, metavar="DATASET",
        help="folder with images and labels, .data or .yaml file, or list of pictures",
    )  # fmt: skip
    parser.add_argument(
        "--split", default=DEFAULT_SPLIT, metavar="NAME",
        help=f"which part of a .yaml or .data file: train, val or test ({DEFAULT_SPLIT})",
    )  # fmt: skip
    parser.add_argument(
        "--dataset-names", type=Path, metavar="FILE",
        help="names of the labels' classes (default: those in a .yaml or .data file)",
    )  # fmt: skip
    classes = parser.add_mutually_exclusive_group()
    classes.add_argument(
        "--map", type=Path, metavar="FILE",
        help="lines 'name in the plan = name in the dataset'",
    )  # fmt: skip
    classes.add_argument(
        "--by-number", action="store_true",
        help="equal numbers are equal classes, whatever their names",
    )  # fmt: skip
    parser.add_argument(
        "--allow-unlabelled", action="store_true",
        help="a picture without a file of labels shows no object",
    )  # fmt: skip
    add_names(parser)
    add_detection_options(parser, THRESHOLD, OVERLAP)
    parser.add_argument(
        "--samples", type=natural, default=SAMPLES, metavar="B",
        help=f"resamplings for the intervals, 0 for none ({SAMPLES})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="what the resamplings depend on (0)"
    )
    add_json_option(parser, "the results")
    add_execution_options(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate and report."""
    terminal = Terminal()
    dataset = read_dataset(
        options.dataset,
        split=options.split,
        names=read_names(options.dataset_names) if options.dataset_names else (),
        allow_unlabelled=options.allow_unlabelled,
    )
    with (
        load_engine(options) as engine,
        closing(create_detector(engine, options)) as detector,
    ):
        mapping = _mapping(detector, dataset, options)
        for note in _notes(mapping):
            terminal.note(note)
        with terminal.progress("evaluating", len(dataset.pictures)) as advance:
            result = evaluate(
                detector,
                dataset,
                threshold=options.threshold,
                overlap=options.nms,
                mapping=mapping,
                samples=options.samples,
                seed=options.seed,
                advance=advance,
            )
    if options.json:
        with json_file(options.json) as file:
            file.write((json.dumps(result.as_plain(), indent=2) + "\n").encode())
    if options.json != STANDARD_OUTPUT:
        if terminal.is_interactive:
            terminal.show(as_tables(result))
        else:
            terminal.lines(as_lines(result))


def _mapping(
    detector: PictureDetector, dataset: Dataset, options: argparse.Namespace
) -> ClassMapping:
    if options.map:
        return map_by_name(detector.names, dataset.names, read_renaming(options.map))
    return map_classes(detector, dataset, by_number=options.by_number)


def _notes(mapping: ClassMapping) -> list[str]:
    """What the user should know about the classes."""
    notes = []
    if mapping.renamed:
        pairs = [f"{plan} is {dataset}" for plan, dataset in mapping.renamed]
        notes.append(f"classes renamed: {_listed(pairs)}")
    if mapping.only_in_plan:
        notes.append(f"classes of the plan not in the dataset: {_listed(mapping.only_in_plan)}")
    if mapping.only_in_dataset:
        notes.append(f"classes of the dataset not in the plan: {_listed(mapping.only_in_dataset)}")
    if mapping.only_in_plan and mapping.only_in_dataset:
        notes.append("neither counts; --map FILE or --by-number would bring them together")
    return notes


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(words[:A_FEW])
    return shown if len(words) <= A_FEW else f"{shown} and {len(words) - A_FEW} more"
