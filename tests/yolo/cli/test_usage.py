"""Wrong command lines, and the reference in README.md."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yolo.cli.support import fails
from yolo_example import cli
from yolo_example.cli import create_parser

README = Path(cli.__file__).with_name("README.md")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["detect"],
        ["detect", "a.plan", "b.png", "--threshold", "1.5"],
        ["detect", "a.plan", "b.png", "--nms", "nan"],
        ["detect", "a.plan", "b.png", "--threads", "0"],
        ["detect", "a.plan", "b.png", "--batch", "0"],
        ["detect", "a.plan", "b.png", "--thresh", "0.5"],
        ["classify", "a.plan"],
        ["classify", "a.plan", "b.png", "--top", "0"],
        ["eval", "a.plan"],
        ["eval", "a.plan", "set", "--samples", "-1"],
        ["eval", "a.plan", "set", "--by-number", "--map", "names"],
        ["random-weights", "a.cfg", "--seed", "1"],
        ["random-weights", "a.cfg", "-o", "b", "--seed", "-1"],
        ["paint"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "--help" in fails(capsys, *arguments)


def subcommands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Names and parsers of all commands."""
    for action in create_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def section(name: str) -> str:
    """What README.md says of a command."""
    found = re.search(rf"^### plugrt-yolo {name}\b.*?(?=^##|\Z)", README.read_text(), re.M | re.S)
    assert found, f"README.md: there is no heading '### plugrt-yolo {name}'"
    return found[0]


def test_every_option_is_described() -> None:
    for name, parser in subcommands():
        text = section(name)
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction):
                continue
            for option in action.option_strings:
                assert re.search(rf"`{option}[ `]", text), f"{name} {option}"
            if not action.option_strings:
                assert str(action.metavar) in text.splitlines()[0], f"{name} {action.metavar}"


def test_no_option_is_invented() -> None:
    for name, parser in subcommands():
        known = {option for action in parser._actions for option in action.option_strings}
        assert set(re.findall(r"`(--?[A-Za-z][\w-]*)", section(name))) - known == set(), name
    told = set(re.findall(r"^### plugrt-yolo ([\w-]+)", README.read_text(), re.M))
    assert told == {name for name, _ in subcommands()}
