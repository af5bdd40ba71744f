"""Options of a build, shared by `plugrt build` and `plugrt bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from plugrt import BuilderConfig, Registry
from plugrt.core.builder.config import MEMORY, PRECISIONS, TUNING

from . import argument_types
from .command_parser import UsageError
from .tuning_progress import Listener

_FLAGS = {
    "device": "--device",
    "precision": "--precision",
    "tune": "--tune",
    "tune_time": "--tune-time",
    "profiles": "--profile",
    "timing_cache": "--timing-cache",
    "max_workspace": "--max-workspace",
    "memory": "--memory",
    "deny": "--deny",
    "substitute": "--substitute",
}


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how an engine is built, apart from `--threads` and `--batch`."""
    group = parser.add_argument_group("options of the build")
    group.add_argument(
        "--device", metavar="NAME",
        help="cpu (default), cuda, or cuda:N for the GPU of that number, from 0 on",
    )
    group.add_argument(
        "--precision", choices=PRECISIONS,
        help="fp32 (default); tf32 lets GPUs round the inputs of products; bf16 or fp16 for the "
        "layers that get faster; int8 or fp8 where tensors have scales; best allows all but fp8",
    )  # fmt: skip
    group.add_argument(
        "--tune", choices=TUNING,
        help="fast (default) measures the candidates of every layer; full measures longer, the "
        "unlikely ones too, and whole networks; off decides by rules",
    )  # fmt: skip
    group.add_argument(
        "--tune-time", type=argument_types.seconds, metavar="SECONDS",
        help="stop measuring after this time and decide the rest by rules (default: no limit)",
    )
    group.add_argument(
        "--profile", dest="profiles", action="append", type=argument_types.input_profile,
        metavar="INPUT=MIN:OPT:MAX",
        help="least, best and largest shape of an input, such as "
        "image=1x3x416x416:1x3x416x416:8x3x416x416; repeat for further inputs",
    )  # fmt: skip
    group.add_argument(
        "--timing-cache", type=Path, metavar="FILE",
        help="measured times, read and updated, so that the next build is quick and alike",
    )
    group.add_argument(
        "--max-workspace", type=argument_types.byte_count, metavar="BYTES",
        help="scratch memory that one layer may use, such as 64M (default: any)",
    )
    group.add_argument(
        "--memory", choices=MEMORY,
        help="low leaves out ways to run that keep larger weights than the model's, as Winograd's "
        "(default: normal)",
    )  # fmt: skip
    group.add_argument(
        "--deny", action="append", metavar="TYPE", help="refuse a layer type; repeatable"
    )
    group.add_argument(
        "--substitute", action="append", type=argument_types.substitution, metavar="TYPE=BY",
        help="use layer type BY wherever TYPE is asked for; repeatable",
    )  # fmt: skip


def given_build_options(arguments: argparse.Namespace) -> list[str]:
    """The options of the build on the command line."""
    return [flag for name, flag in _FLAGS.items() if getattr(arguments, name) is not None]


def builder_config(
    arguments: argparse.Namespace, progress: Listener | None = None
) -> BuilderConfig:
    """The configuration that the options describe. Raises UsageError for contradictions."""
    given = {
        "device": arguments.device,
        "precision": arguments.precision,
        "tune": arguments.tune,
        "tune_time": arguments.tune_time,
        "progress": progress,
        "timing_cache": arguments.timing_cache,
        "max_workspace_size": arguments.max_workspace,
        "memory": arguments.memory,
        "max_batch_size": arguments.batch,
        "threads": arguments.threads,
    }
    profiles = dict(arguments.profiles or ())
    if len(profiles) < len(arguments.profiles or ()):
        raise UsageError("an input has several --profile options; give one")
    return BuilderConfig(
        profiles=profiles, **{name: value for name, value in given.items() if value is not None}
    )


def restricted_registry(arguments: argparse.Namespace) -> Registry:
    """The installed plug-ins under `--deny` and `--substitute`, for this command alone.

    Raises PluginError for unknown types and substitutes that do not fit.
    """
    registry = Registry(Registry.default())
    for original, substitute in arguments.substitute or ():
        registry.substitute(original, substitute)
    for denied in arguments.deny or ():
        registry.deny(denied)
    return registry
