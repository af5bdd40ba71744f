"""docs/commands.md names every command and every option, and nothing else."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugrt.cli import create_parser
from plugrt.plugin_registry import Registry

REFERENCE = Path(__file__).parents[2] / "docs/commands.md"
EXAMPLES = {"--no-NAME", "--NAME", "--cut-off", "--darknet-threads"}


def commands(
    parser: argparse.ArgumentParser, name: str = "plugrt"
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parser and those of its subcommands, with their names."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from commands(below, f"{name} {word}")


@pytest.fixture(scope="module")
def command_line() -> argparse.ArgumentParser:
    darknet = Registry.discover().get("parsers", "darknet")
    return create_parser([darknet])


def test_every_option_is_described(command_line):
    text = REFERENCE.read_text()
    for name, parser in commands(command_line):
        if len(name.split()) == 2:
            assert f"## {name}" in text
        for action in parser._actions:
            for option in action.option_strings:
                assert re.search(rf"`{option}[ `]", text), f"{name} {option}"


def test_no_option_is_invented(command_line):
    known = {o for _, p in commands(command_line) for a in p._actions for o in a.option_strings}
    told = set(re.findall(r"`(--[A-Za-z][\w-]*)", REFERENCE.read_text()))
    assert told - known - EXAMPLES == set()
