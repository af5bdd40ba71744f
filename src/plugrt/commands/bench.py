"""`plugrt bench`: latency, throughput and memory of a plan or a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plugrt
from plugrt import Engine, LayerTime
from plugrt.core.engine.container import MAGIC
from plugrt.plugins import ParserPlugin, format_shape

from . import argument_types
from .build_options import (
    add_build_options,
    builder_config,
    given_build_options,
    restricted_registry,
)
from .command_parser import Subparsers, UsageError
from .concrete_shapes import choose_sizes, input_shapes
from .files import check_target, write_text
from .layer_times import print_layer_times
from .measurement import measure, peak_memory, random_inputs
from .models import add_parser_options, given_parser_options, read_model
from .plan_description import weight_bytes
from .plans import load_plan
from .tables import print_table
from .units import bytes_text, milliseconds_text, ratio_text

DEFAULT_SECONDS = 3.0


def add_parser(subparsers: Subparsers, parsers: Sequence[type[ParserPlugin]]) -> None:
    """Add `bench`, with the options that `parsers` declare."""
    parser = subparsers.add_parser(
        "bench", help="measure a plan, or build a model and measure it",
        description="Measure a plan on random inputs; a model is built first.",
    )  # fmt: skip
    parser.add_argument("model", type=Path, metavar="PLAN|MODEL")
    parser.add_argument("weights", type=Path, nargs="?", metavar="WEIGHTS")
    parser.add_argument(
        "--threads", type=argument_types.thread_count, metavar="N",
        help="team size (default: the plan's, or all threads of this process for a model)",
    )
    parser.add_argument("--batch", type=argument_types.batch_size, metavar="N", help="batch size")
    parser.add_argument(
        "--shape", dest="shapes", action="append", type=argument_types.input_shape,
        default=[], metavar="INPUT=DIMS", help="shape of an input; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=argument_types.seconds, default=DEFAULT_SECONDS, metavar="S",
        help=f"how long to measure (default {DEFAULT_SECONDS:g})",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=argument_types.seed, default=0, metavar="N",
        help="seed of the random inputs (default 0)",
    )  # fmt: skip
    parser.add_argument("--layers", action="store_true", help="also time every layer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add_build_options(parser)
    add_parser_options(parser, parsers)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; with `--json` also write a file."""
    if arguments.json is not None:
        check_target(arguments.json, "--json", [arguments.model, arguments.weights])
    with _engine(arguments) as engine:
        sizes = choose_sizes(engine, arguments.shapes, arguments.batch)
        inputs = random_inputs(engine.inputs, sizes, arguments.seed)
        with engine.create_context(arguments.threads) as context:
            latency = measure(context, inputs, arguments.seconds)
            times = context.profile(inputs) if arguments.layers else []
            shapes = input_shapes(engine, sizes)
            plan = context.recording(shapes).plan
            result = {
                "file": str(arguments.model),
                "plugrt": plugrt.__version__,
                "device": dict(engine.info.fingerprint),
                "precision": engine.info.precision,
                "threads": context.threads,
                "inputs": {name: list(shape) for name, shape in shapes.items()},
                "latency": asdict(latency),
                "throughput": _batch(shapes) * latency.runs / latency.seconds,
                "batch": _batch(shapes),
                "memory": {
                    "arena": plan.arena_size,
                    "live_maximum": plan.live_maximum,
                    "weights": weight_bytes(engine),
                    "packed_weights": engine.packed_bytes,
                    "process_peak": peak_memory(),
                },
            }
    if times:
        result["layers"] = [asdict(time) for time in times]
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(result, indent=2) + "\n")
    _print(result, times)
    return 0


def _engine(arguments: argparse.Namespace) -> Engine:
    with arguments.model.open("rb") as file:
        is_plan = file.read(len(MAGIC)) == MAGIC
    if not is_plan:
        config = builder_config(arguments)
        model = read_model(arguments, arguments.model, restricted_registry(arguments))
        return plugrt.build(model.network, config)
    if arguments.weights is not None:
        raise UsageError(f"{arguments.model} is a plan and has its weights; leave WEIGHTS out")
    idle = given_build_options(arguments) + given_parser_options(arguments)
    if idle:
        raise UsageError(
            f"{idle[0]} decides how a model is built, but {arguments.model} is a plan already; "
            "leave it out, or give the model"
        )
    return load_plan(arguments.model)


def _batch(shapes: Mapping[str, Sequence[int]]) -> int:
    """Items of one call: the common size of axis 0, else 1."""
    first = {shape[0] for shape in shapes.values() if shape}
    return first.pop() if len(first) == 1 else 1


def _print(result: Mapping[str, Any], times: Sequence[LayerTime]) -> None:
    latency, memory = result["latency"], result["memory"]
    inputs = [f"{name} {format_shape(shape)}" for name, shape in result["inputs"].items()]
    rows = [
        ["inputs", ", ".join(inputs)],
        ["threads", str(result["threads"])],
        ["runs", f"{latency['runs']} in {latency['seconds']:.1f} s"],
        ["latency, median", milliseconds_text(latency["median"])],
        ["latency, 10 % to 90 %",
         f"{milliseconds_text(latency['p10'])} to {milliseconds_text(latency['p90'])}"],
        ["throughput", f"{result['throughput']:.1f} items/s"],
        ["arena", f"{bytes_text(memory['arena'])}, "
         f"{ratio_text(memory['arena'], memory['live_maximum'])} of the most bytes alive at once"],
        ["weights",
         f"{bytes_text(memory['weights'])}, packed {bytes_text(memory['packed_weights'])}"],
        ["process at its peak", bytes_text(memory["process_peak"])],
    ]  # fmt: skip
    print_table(sys.stdout, ("bench", str(result["file"])), rows)
    if times:
        print()
        print_layer_times(sys.stdout, times)
