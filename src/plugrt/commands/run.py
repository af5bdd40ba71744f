"""`plugrt run`: one inference on arrays from files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plugrt.plugins import format_shape

from . import argument_types
from .arrays import read_inputs, write_outputs
from .command_parser import Subparsers
from .files import check_folder
from .layer_times import print_layer_times
from .plans import load_plan
from .tables import print_table


def add_parser(subparsers: Subparsers) -> None:
    """Add `run`."""
    parser = subparsers.add_parser(
        "run", help="run a plan once on .npy files",
        description="Run a plan once: every input from a .npy file, every output into one.",
    )  # fmt: skip
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument(
        "--input", dest="inputs", action="extend", nargs="+", default=[], metavar="NAME=FILE.npy",
        help="the array of an input",
    )  # fmt: skip
    parser.add_argument(
        "--output-dir", type=Path, required=True, metavar="DIR",
        help="folder for NAME.npy of every output; made if absent",
    )  # fmt: skip
    parser.add_argument(
        "--device", metavar="NAME",
        help="where to run: cpu, cuda, or cuda:N (default: the plan's device)",
    )
    parser.add_argument(
        "--trusted", action="store_true",
        help="run the machine code for GPUs that the plan carries, rather than compile it anew",
    )
    parser.add_argument(
        "--threads", type=argument_types.thread_count, metavar="N",
        help="team size (default: the one of the build)",
    )
    parser.add_argument("--profile", action="store_true", help="also time every layer")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run, write the outputs and print their shapes."""
    folder: Path = arguments.output_dir
    check_folder(folder, "--output-dir")
    with load_plan(arguments.plan, arguments.device, arguments.trusted) as engine:
        inputs = read_inputs(arguments.inputs, engine.inputs)
        with engine.create_context(arguments.threads) as context:
            results = context.execute(inputs)
            times = context.profile(inputs) if arguments.profile else []
        files = write_outputs(folder, results)
    rows = [
        [name, array.dtype.name, format_shape(array.shape), str(files[name])]
        for name, array in results.items()
    ]
    print_table(sys.stdout, ("output", "type", "shape", "file"), rows)
    if times:
        print()
        print_layer_times(sys.stdout, times)
    return 0
