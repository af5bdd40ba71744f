"""Options that model parsers declare: `cut_off = attribute(int, ...)` becomes `--cut-off N`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plugrt.plugins import DataType, Graph, ParserPlugin, attribute

from .command_parser import CommandParser, UsageError

DESTINATION = "parser option "
Parser = type[ParserPlugin]


@dataclass
class _Option:
    """One option, declared by one parser or, under the same name, by several."""

    flag: str
    owners: dict[Parser, attribute[Any]] = field(default_factory=dict)

    @property
    def is_switch(self) -> bool:
        return all(declared.kind is bool for declared in self.owners.values())


class ParserOptions:
    """The declared options of all installed parsers as options of one command.

    They stay text until the model has chosen its parser: two parsers may give one name
    different meanings. A name that the command itself uses gets the parser's in front
    (`--darknet-threads`).
    """

    def __init__(self, command: CommandParser, parsers: Sequence[Parser]) -> None:
        own = command.option_names()
        self._options: dict[str, _Option] = {}
        for parser in parsers:
            for name, declared in parser.schema.items():
                if declared.kind is np.ndarray or declared.kind is Graph:
                    continue  # has no form on a command line
                flag = "--" + name.replace("_", "-")
                if flag in own:
                    flag = f"--{parser.name}-{name.replace('_', '-')}"
                self._options.setdefault(flag, _Option(flag)).owners[parser] = declared
        for names, options in self._by_owners().items():
            noun = "parser" if len(names) == 1 else "parsers"
            group = command.add_argument_group(f"options of the {noun} {', '.join(names)}")
            for option in options:
                _add(group.add_argument, option)

    def values_for(self, parser: Parser, arguments: argparse.Namespace) -> dict[str, Any]:
        """What was given for this parser, checked, by attribute name.

        Raises UsageError for an option of another parser, LayerAttributeError for a value
        that is not allowed.
        """
        values = {}
        for option in self._options.values():
            given = getattr(arguments, DESTINATION + option.flag, None)
            if given is None:
                continue
            declared = option.owners.get(parser)
            if declared is None:
                raise UsageError(self._foreign(option, parser))
            value = given if isinstance(given, bool) else _convert(option.flag, declared, given)
            values[declared.name] = declared.check(f"option {option.flag}", value)
        return values

    def flag_of(self, parser: Parser, name: str) -> str:
        """The option that sets a parser's attribute."""
        return next(
            option.flag for option in self._options.values()
            if parser in option.owners and option.owners[parser].name == name
        )  # fmt: skip

    def given(self, arguments: argparse.Namespace) -> list[str]:
        """The parser options on the command line."""
        flags = self._options
        return [flag for flag in flags if getattr(arguments, DESTINATION + flag, None) is not None]

    def _foreign(self, option: _Option, parser: Parser) -> str:
        theirs = ", ".join(owner.name for owner in option.owners)
        mine = [o.flag for o in self._options.values() if parser in o.owners]
        return (
            f"{option.flag} is an option of parser {theirs}, but the model is read by parser "
            f"{parser.name}; its options: {', '.join(mine) or 'none'}"
        )

    def _by_owners(self) -> dict[tuple[str, ...], list[_Option]]:
        found: dict[tuple[str, ...], list[_Option]] = {}
        for option in self._options.values():
            found.setdefault(tuple(owner.name for owner in option.owners), []).append(option)
        return found


def _add(add_argument: Callable[..., Any], option: _Option) -> None:
    declared = next(iter(option.owners.values()))
    destination = DESTINATION + option.flag
    text = "; ".join(
        _help(each) if len(option.owners) == 1 else f"{owner.name}: {_help(each)}"
        for owner, each in option.owners.items()
    )
    if option.is_switch:
        add_argument(
            option.flag, action=argparse.BooleanOptionalAction, dest=destination, default=None,
            help=text,
        )  # fmt: skip
    else:
        add_argument(option.flag, dest=destination, metavar=_metavar(declared), help=text)


def _help(declared: attribute[Any]) -> str:
    text = declared.doc
    if declared.required:
        text += " (required)"
    elif declared.default not in ("", None, ()):
        text += f" (default {_plain(declared.default)})"
    return text.strip().replace("%", "%%")


def _metavar(declared: attribute[Any]) -> str:
    if isinstance(declared.allowed, tuple) and declared.element is None:
        return "{" + ",".join(map(_plain, declared.allowed)) + "}"
    if declared.kind in (int, float):
        return "N" if declared.kind is int else "X"
    text = declared.name.upper()
    return f"{text},..." if declared.element is not None else text


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    return str(value.value if isinstance(value, DataType) else value)


def _convert(flag: str, declared: attribute[Any], text: str) -> Any:
    try:
        if declared.element is not None:
            return tuple(_scalar(declared.element, part) for part in text.split(",") if part)
        return _scalar(declared.kind, text)
    except ValueError:
        raise UsageError(f"option {flag}: {text!r} is not {declared.kind_name}") from None


def _scalar(kind: Any, text: str) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return kind(text) if kind in (int, float) else text
