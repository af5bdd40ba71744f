"""`plugrt bench`: latency, throughput and memory of a plan or a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import plugrt
from plugrt import BuilderConfig, Engine, LayerTime, Network
from plugrt.core.engine.container import MAGIC
from plugrt.plugins import ParserPlugin

from . import argument_types
from .bench_report import print_bench
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
from .measurement import measure, measure_pool, random_inputs
from .models import add_parser_options, given_parser_options, read_model
from .plan_description import weight_bytes
from .plans import load_plan
from .running_memory import peak_of_running
from .tuning_progress import tuning_progress

DEFAULT_SECONDS = 3.0


def add_parser(subparsers: Subparsers, parsers: Sequence[type[ParserPlugin]]) -> None:
    """Add `bench`, with the options that `parsers` declare."""
    parser = subparsers.add_parser(
        "bench", help="measure a plan, or build a model and measure it",
        description="Measure a plan on random inputs; a model is built first, and is also measured "
        "unoptimised: float32, nothing fused, nothing tuned.",
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
    parser.add_argument(
        "--throughput", action="store_true",
        help="also measure items per second of several contexts of one thread each",
    )
    parser.add_argument(
        "--contexts", type=argument_types.thread_count, metavar="N",
        help="how many contexts --throughput uses (default: one per processor, two on a GPU)",
    )
    parser.add_argument(
        "--no-comparison", action="store_true",
        help="do not measure the model unoptimised too",
    )
    parser.add_argument("--layers", action="store_true", help="also time every layer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    add_build_options(parser)
    add_parser_options(parser, parsers)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; with `--json` also write a file."""
    if arguments.json is not None:
        check_target(arguments.json, "--json", [arguments.model, arguments.weights])
    if arguments.contexts is not None and not arguments.throughput:
        raise UsageError("--contexts is for --throughput alone; add that, or leave it out")
    source = _source(arguments)
    with source.engine() as engine:
        result, times = _measured(engine, arguments, layers=arguments.layers)
    result = {
        "file": str(arguments.model),
        "plugrt": plugrt.__version__,
        "device": dict(engine.info.fingerprint),
        **result,
    }
    if arguments.throughput:
        result["throughput_mode"] = _pool(source, arguments)
    if source.config is not None and not arguments.no_comparison:
        with source.engine(UNOPTIMISED) as engine:
            result["unoptimised"], _ = _measured(engine, arguments)
    if times:
        result["layers"] = [asdict(time) for time in times]
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(result, indent=2) + "\n")
    print_bench(sys.stdout, result)
    if times:
        print()
        print_layer_times(sys.stdout, times)
    return 0


UNOPTIMISED = {"fusion": False, "tune": "off", "precision": "fp32", "timing_cache": None}
"""What the build of a model is compared with."""


@dataclass(frozen=True)
class _Source:
    """Where engines come from: a network and how to build it, or a plan."""

    config: BuilderConfig | None = None
    network: Network | None = None
    plan: Path | None = None

    def engine(self, changes: Mapping[str, Any] | None = None) -> Engine:
        """An engine; of a network with these changes to the configuration."""
        if self.plan is not None or self.network is None or self.config is None:
            return load_plan(self.plan or Path())
        with tuning_progress() as progress:
            config = replace(self.config, progress=progress, **(changes or {}))
            return plugrt.build(self.network, config)


def _source(arguments: argparse.Namespace) -> _Source:
    with arguments.model.open("rb") as file:
        is_plan = file.read(len(MAGIC)) == MAGIC
    if not is_plan:
        config = builder_config(arguments)
        model = read_model(arguments, arguments.model, restricted_registry(arguments))
        return _Source(config, model.network)
    if arguments.weights is not None:
        raise UsageError(f"{arguments.model} is a plan and has its weights; leave WEIGHTS out")
    idle = given_build_options(arguments) + given_parser_options(arguments)
    idle += ["--no-comparison"] if arguments.no_comparison else []
    if idle:
        raise UsageError(
            f"{idle[0]} decides how a model is built, but {arguments.model} is a plan already; "
            "leave it out, or give the model"
        )
    return _Source(plan=arguments.model)


def _measured(
    engine: Engine, arguments: argparse.Namespace, *, layers: bool = False
) -> tuple[dict[str, Any], list[LayerTime]]:
    """Latency, throughput and memory of one context, and with `layers` the time of each."""
    sizes = choose_sizes(engine, arguments.shapes, arguments.batch)
    inputs = random_inputs(engine.inputs, sizes, arguments.seed)
    shapes = input_shapes(engine, sizes)
    with engine.create_context(arguments.threads) as context:
        latency = measure(context, inputs, arguments.seconds)
        times = context.profile(inputs) if layers else []
        plan = context.recording(shapes).plan
        peak = _peak(engine, arguments, context.threads, sizes)
        result = {
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
                "peak_of_running": peak,
            },
        }
    return result, times


def _peak(
    engine: Engine, arguments: argparse.Namespace, threads: int, sizes: Mapping[str, int]
) -> int | None:
    """What loading the plan and running it takes in a process that does nothing else; of the
    CPU's memory, so not for engines on other devices."""
    if engine.device != "cpu":
        return None
    with TemporaryDirectory() as folder:
        plan = Path(folder, "model.plan")
        engine.save(plan)
        return peak_of_running(plan, threads, sizes, arguments.seed)


def _pool(source: _Source, arguments: argparse.Namespace) -> dict[str, Any]:
    """Calls per second of contexts of one thread each; a model is built for that."""
    with source.engine({"threads": 1}) as engine:
        sizes = choose_sizes(engine, arguments.shapes, arguments.batch)
        inputs = random_inputs(engine.inputs, sizes, arguments.seed)
        found = measure_pool(engine, inputs, arguments.seconds, arguments.contexts, 1)
        items = _batch(input_shapes(engine, sizes)) * found.runs
    return {**asdict(found), "throughput": items / found.seconds}


def _batch(shapes: Mapping[str, Sequence[int]]) -> int:
    """Items of one call: the common size of axis 0, else 1."""
    first = {shape[0] for shape in shapes.values() if shape}
    return first.pop() if len(first) == 1 else 1
