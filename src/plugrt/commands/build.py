"""`plugrt build`: from a model file to a plan."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import plugrt
from plugrt import Engine, Network
from plugrt.plugins import ParserPlugin

from . import argument_types
from .build_options import add_build_options, builder_config, restricted_registry
from .command_parser import Subparsers
from .concrete_shapes import choose_sizes, input_shapes
from .explanation_report import print_explanation
from .files import check_target, write_text
from .models import add_parser_options, read_model
from .plan_description import weight_bytes
from .tables import print_table
from .tuning_progress import tuning_progress
from .units import bytes_text, ratio_text


def add_parser(subparsers: Subparsers, parsers: Sequence[type[ParserPlugin]]) -> None:
    """Add `build`, with the options that `parsers` declare."""
    parser = subparsers.add_parser(
        "build", help="build a plan from a model",
        description="Build a plan from a model. The parser is chosen by the model's content.",
    )  # fmt: skip
    parser.add_argument("model", type=Path, metavar="MODEL", help="the model's definition")
    parser.add_argument(
        "weights", type=Path, nargs="?", metavar="WEIGHTS",
        help="its weights, where the format keeps them in another file",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PLAN", help="the plan to write"
    )
    parser.add_argument(
        "--batch", type=argument_types.batch_size, metavar="N",
        help="largest batch, and the one to be fastest at (default: any, fastest at 1)",
    )
    parser.add_argument(
        "--threads", type=argument_types.thread_count, metavar="N",
        help="threads to be fastest with (default: those of this process)",
    )
    parser.add_argument(
        "--explain", action="store_true", help="tell what was decided for each layer, and why"
    )
    parser.add_argument(
        "--explain-json", type=Path, metavar="FILE", help="write the same as JSON, more completely"
    )
    add_build_options(parser)
    add_parser_options(parser, parsers)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build and save; on any error no file is left behind."""
    start = time.perf_counter()
    read = [arguments.model, arguments.weights]
    check_target(arguments.output, "--output", read)
    if arguments.timing_cache is not None:
        check_target(
            arguments.timing_cache, "--timing-cache", [*read, arguments.output], makes_folder=True
        )
    if arguments.explain_json is not None:
        written = [arguments.output, arguments.timing_cache]
        check_target(arguments.explain_json, "--explain-json", [*read, *written])
    builder_config(arguments)  # refuse contradictions before the model is read
    model = read_model(arguments, arguments.model, restricted_registry(arguments))
    with tuning_progress() as progress:
        built = plugrt.build(model.network, builder_config(arguments, progress))
    with built as engine:
        rows = [
            ["model", f"{arguments.model}, read by parser {model.parser.name}"],
            *_engine_rows(model.network, engine),
        ]
        if arguments.explain:
            print_explanation(sys.stdout, engine.explanation)
        engine.save(arguments.output)
        if arguments.explain_json is not None:
            explained = json.dumps(engine.explanation.to_dict(), indent=1)
            write_text(arguments.explain_json, explained + "\n")
    rows += [
        ["plan", f"{arguments.output}, {bytes_text(arguments.output.stat().st_size)}"],
        ["time", f"{time.perf_counter() - start:.1f} s"],
    ]
    print_table(sys.stdout, ("built", ""), rows)
    return 0


def _engine_rows(network: Network, engine: Engine) -> list[list[str]]:
    layers = engine.planned.network.layers
    fused = sum(len(layer.fused) for layer in layers)
    host = sum(layer.on_host for layer in layers) or "no"
    sizes = choose_sizes(engine)
    with engine.create_context() as context:
        recording = context.recording(input_shapes(engine, sizes))
        recording.variant(recording.segments[0], recording.sizes)  # packs the weights
        memory = recording.plan
        packed = engine.packed_bytes
    at = ", ".join(f"{name}={size}" for name, size in sizes.items())
    return [
        ["layers", f"{len(network.layers)} before, {len(layers)} after; {fused} fused into others"],
        ["arena", f"{bytes_text(memory.arena_size)}{f' at {at}' if at else ''}, "
         f"{ratio_text(memory.arena_size, memory.live_maximum)} of the most bytes alive at once"],
        ["weights", f"{bytes_text(weight_bytes(engine))}"
         + (f", packed {bytes_text(packed)}" if packed else "")],
        *([["device", f"{engine.device}; {host} layers run on the host"]]
          if engine.device != "cpu" else []),
    ]  # fmt: skip
