"""What a module of a subcommand offers."""

from __future__ import annotations

import argparse
from typing import Protocol

PROGRAM = "plugrt-yolo"

DONE = 0
FAILED = 2
INTERRUPTED = 130


class Command(Protocol):
    """A subcommand; modules are meant."""

    NAME: str
    """The word on the command line."""
    HELP: str
    """One line for `plugrt-yolo --help`."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the arguments."""

    def run(self, options: argparse.Namespace, /) -> int | None:
        """Do it. Returns the exit status, None for 0; raises PlugrtError for what a user can
        cause, which becomes one line on stderr and status 2."""
