"""argparse with the manners of this command line: errors are exceptions, one line each."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, TypeAlias

from plugrt.plugins import PlugrtError


class UsageError(PlugrtError):
    """The command line itself is wrong."""


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError instead of printing and exiting.

    Abbreviated options are refused: a plug-in installed later could make them ambiguous.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")

    def option_names(self) -> set[str]:
        """Every option defined so far, in all its spellings."""
        return set(self._option_string_actions)


Subparsers: TypeAlias = "argparse._SubParsersAction[CommandParser]"
"""Where a command adds its parser; argparse gives it no public name."""
