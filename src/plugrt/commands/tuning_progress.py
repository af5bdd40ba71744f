"""The progress of a build's tuning, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

import plugrt

from .units import seconds_text

Listener = Callable[[plugrt.TuningProgress], None]


@contextmanager
def tuning_progress() -> Iterator[Listener | None]:
    """A listener for `BuilderConfig.progress` that draws a bar on stderr while the block lasts;
    None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("tuning"), BarColumn(), TextColumn("{task.completed} of {task.total} measured"),
        TextColumn("{task.fields[estimate]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("tuning", total=None, estimate="", visible=False)

        def listen(now: plugrt.TuningProgress) -> None:
            bar.update(
                task, completed=now.done, total=now.total, visible=now.total > 0,
                estimate=f"about {seconds_text(now.remaining)} left",
            )  # fmt: skip

        yield listen
