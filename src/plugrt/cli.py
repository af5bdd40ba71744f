"""The command line `plugrt`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import plugrt
from plugrt.commands import bench, build, inspect, plugins, run, timing_cache
from plugrt.commands.command_parser import CommandParser, UsageError
from plugrt.commands.outcome import exit_status
from plugrt.plugin_registry import Registry
from plugrt.plugins import ParserPlugin

READS_MODELS = ("build", "bench")
"""Commands with options of the installed model parsers; only they import those."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's) and return its exit status.

    0: done. 1: something checked was found ill. 2: a user error, told in one line on stderr.
    130: interrupted.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    return exit_status(lambda: _run(words))


def _run(words: Sequence[str]) -> int:
    arguments = parse(words)
    status: int = arguments.run(arguments)
    return status


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The arguments; `run` is the function that takes them. Raises UsageError."""
    command = next((word for word in words if not word.startswith("-")), None)
    parsers = Registry.default().parsers() if command in READS_MODELS else []
    arguments, unknown = create_parser(parsers).parse_known_args(words)
    if unknown:
        raise UsageError(
            f"unknown argument {unknown[0]!r}; see `plugrt {arguments.command} --help`"
        )
    return arguments


def create_parser(parsers: Sequence[type[ParserPlugin]] = ()) -> CommandParser:
    """The whole command line, with the options that these model parsers declare."""
    parser = CommandParser(
        prog="plugrt", description="Build, run and examine inference engines made of plug-ins."
    )
    parser.add_argument("--version", action="version", version=f"plugrt {plugrt.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    build.add_parser(commands, parsers)
    run.add_parser(commands)
    inspect.add_parser(commands)
    bench.add_parser(commands, parsers)
    timing_cache.add_parser(commands)
    plugins.add_parser(commands)
    doctor = commands.add_parser("doctor", help="short for `plugrt plugins doctor`")
    doctor.set_defaults(run=plugins.run_doctor)
    return parser
