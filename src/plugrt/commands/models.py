"""From a model file to a network: the parser is chosen by what the file holds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from plugrt import ModelError, Network, PlugrtError, Registry
from plugrt.plugins import ParserPlugin

from .command_parser import CommandParser, UsageError
from .outcome import warn
from .parser_options import ParserOptions

HEAD_BYTES = 4096
Parser = type[ParserPlugin]


@dataclass(frozen=True)
class Model:
    """A network, and the parser that made it."""

    network: Network
    parser: Parser


def add_parser_options(command: CommandParser, parsers: Sequence[Parser]) -> None:
    """Add `--parser` and the declared options of `parsers`; call it after all others."""
    command.add_argument(
        "--parser", dest="parser_name", metavar="NAME",
        help="parser of the model, where its content leaves a choice",
    )  # fmt: skip
    options = ParserOptions(command, parsers)
    command.set_defaults(parser_options=options, parsers=parsers)


def given_parser_options(arguments: argparse.Namespace) -> list[str]:
    """Options on the command line that only a model has a use for."""
    options: ParserOptions = arguments.parser_options
    named = ["--parser"] if arguments.parser_name is not None else []
    return named + options.given(arguments)


def read_model(arguments: argparse.Namespace, path: Path, registry: Registry) -> Model:
    """Parse the model `path` with `arguments.weights`; notes of the parser become warnings.

    Raises OSError for a file that cannot be read, ModelError for one that cannot be
    understood, UsageError for options that do not go with it.
    """
    parser = choose_parser(path, arguments.parsers, arguments.parser_name)
    options: ParserOptions = arguments.parser_options
    values = options.values_for(parser, arguments)
    for name, declared in parser.schema.items():
        if declared.required and name not in values:
            flag = options.flag_of(parser, name)
            raise UsageError(f"parser {parser.name} needs {flag}: {declared.doc}")
    weights = arguments.weights
    if weights is not None:
        weights.open("rb").close()
    network = Network(path.stem, registry)
    parsed = parser(**values).parse(path, weights, network)
    for note in parsed.notes:
        warn(note)
    return Model(parsed.network, parser)


def choose_parser(path: Path, parsers: Sequence[Parser], name: str | None = None) -> Parser:
    """The parser called `name`, else the only one that accepts the content of `path`.

    Raises OSError when the file cannot be read, ModelError when no parser or several of
    them accept it.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    known = ", ".join(parser.name for parser in parsers) or "none"
    if name is not None:
        for parser in parsers:
            if parser.name == name:
                return parser
        raise UsageError(f"there is no parser {name!r}; installed: {known}")
    accepting = [parser for parser in parsers if _accepts(parser, path, head)]
    if len(accepting) == 1:
        return accepting[0]
    if not head:
        raise ModelError(f"{path}: the file is empty; give a model")
    if not accepting:
        raise ModelError(
            f"{path}: no installed parser reads this content (installed: {known}); check the "
            "file, or install the distribution with its parser"
        )
    names = " and ".join(parser.name for parser in accepting)
    raise ModelError(f"{path}: parsers {names} both read this content; choose with --parser NAME")


def _accepts(parser: Parser, path: Path, head: bytes) -> bool:
    try:
        return parser.accepts(path, head)
    except PlugrtError:
        raise
    except Exception as error:
        warn(f"parser {parser.name} is passed over: accepts() raised {error!r}; report this")
        return False
