"""The command `plugrt-yolo`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from plugrt.plugins import PlugrtError

from .commands import classify, demo, detect, evaluate, export_caffe, random_weights, scenes
from .commands.command import DONE, FAILED, INTERRUPTED, PROGRAM, Command

COMMANDS: tuple[Command, ...] = (
    detect,
    classify,
    evaluate,
    export_caffe,
    random_weights,
    scenes,
    demo,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0; 2 after one line on standard error for each thing that went wrong; 130 after
    Ctrl-C.
    """
    _prepare_output()
    options = create_parser().parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except PlugrtError as error:
        print(f"{PROGRAM}: {_one_line(str(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        _abandon_output()
        return FAILED
    except OSError as error:
        print(f"{PROGRAM}: {_one_line(str(error))}", file=sys.stderr)
        _abandon_output()
        return FAILED
    return DONE if status is None else int(status)


def create_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _OneLineParser(
        PROGRAM, description="Darknet detectors and classifiers in plugrt.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_OneLineParser)
    for command in COMMANDS:
        below = commands.add_parser(
            command.NAME, help=command.HELP, description=f"{command.HELP}.", allow_abbrev=False
        )
        command.add_arguments(below)
        below.set_defaults(run=command.run)
    return parser


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"{self.prog}: {_one_line(message)}; see {self.prog} --help\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _prepare_output() -> None:
    """Names in any script can be printed, whatever the terminal's encoding, and a closed stdout
    does no harm."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - kept to the end
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _abandon_output() -> None:
    """Let Python's own flush at exit succeed when nobody can take our output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
