"""Results as JSON, in a file or on standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..replacing import replacing

STANDARD_OUTPUT = "-"


def add_json_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json", metavar="FILE",
        help=f"write {what}; {STANDARD_OUTPUT} prints that and nothing else",
    )  # fmt: skip


@contextmanager
def json_file(option: str) -> Iterator[BinaryIO]:
    """Where JSON goes: a file that appears when the block ends well, or standard output."""
    if option == STANDARD_OUTPUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replacing(Path(option)) as file:
            yield file
