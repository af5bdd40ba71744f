"""What commands print: results on stdout; progress and notes on stderr.

Tables and progress appear on terminals only; rich leaves colors out where NO_COLOR is set.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .command import PROGRAM

Advance = Callable[[int], None]


class Terminal:
    """Standard output and standard error of one command.

    `show` is for stdout on a terminal (`is_interactive`), `lines` for stdout anywhere else.
    """

    def __init__(self) -> None:
        self.is_interactive = sys.stdout.isatty()
        self._progress: Progress | None = None

    def show(self, renderable: RenderableType) -> None:
        """Print a table or the like on stdout; a Text is one line, cut at the screen's edge."""
        # Where a bar is shown too, both are on one screen, and rich prints above the bar.
        console = self._progress.console if self._progress else Console()
        console.print(
            renderable, highlight=False, overflow="ellipsis", no_wrap=isinstance(renderable, Text)
        )

    def lines(self, lines: list[str]) -> None:
        """Print plain lines on stdout."""
        print(*lines, sep="\n")

    def note(self, text: str) -> None:
        """Tell something on stderr."""
        print(text, file=sys.stderr)

    def problem(self, text: str) -> None:
        """Tell on stderr that something went wrong while the rest went on."""
        self.note(f"{PROGRAM}: {' '.join(text.split())}")

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """A bar on stderr while the block runs; it is advanced by a number of steps."""
        if not sys.stderr.isatty() or total < 2 or Console(stderr=True).is_dumb_terminal:
            yield lambda steps: None
            return
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
        )
        task = progress.add_task(what, total=total)
        self._progress = progress
        try:
            with progress:
                yield lambda steps: progress.advance(task, steps)
        finally:
            self._progress = None
