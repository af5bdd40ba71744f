"""`plugrt inspect`: what a plan holds, without running it."""

from __future__ import annotations

import argparse
import json
import mmap
import sys
from pathlib import Path

from plugrt.core.engine.plan import read_code

from . import argument_types
from .command_parser import Subparsers
from .concrete_shapes import choose_sizes
from .plan_description import describe_engine
from .plan_report import print_plan
from .plans import load_plan
from .requirements import print_requirements, requirements


def add_parser(subparsers: Subparsers) -> None:
    """Add `inspect`."""
    parser = subparsers.add_parser(
        "inspect", help="tell what a plan holds, without running it",
        description="Tell what a plan holds, without running it.",
    )  # fmt: skip
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument("--json", action="store_true", help="as JSON, with stable keys")
    parser.add_argument(
        "--requires", action="store_true",
        help="only the plug-ins that the plan needs, with their distributions; imports none",
    )  # fmt: skip
    parser.add_argument(
        "--shape", dest="shapes", action="append", type=argument_types.input_shape,
        default=[], metavar="INPUT=DIMS",
        help="memory and layers at this shape of an input, such as image=4x3x416x416 "
        "(default: the profile's best, else 1 for every open size); repeatable",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the description, or the requirements."""
    if arguments.requires:
        needed = requirements(arguments.plan)
        if arguments.json:
            _print_json({"requires": needed})
        else:
            print_requirements(sys.stdout, needed)
        return 0
    with load_plan(arguments.plan) as engine:
        description = describe_engine(engine, choose_sizes(engine, arguments.shapes))
    size = arguments.plan.stat().st_size
    file = {"name": str(arguments.plan), "bytes": size, "code_bytes": _code_bytes(arguments.plan)}
    description = {"file": file, **description, "requires": requirements(arguments.plan)}
    if arguments.json:
        _print_json(description)
    else:
        print_plan(sys.stdout, description)
    return 0


def _code_bytes(plan: Path) -> int:
    """Bytes of machine code; weights stay on disk."""
    with plan.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return sum(len(piece) for piece in read_code(mapped).values())


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()
