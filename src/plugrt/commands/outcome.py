"""How a command ends: exit statuses, and one line on stderr for what went wrong."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from plugrt.plugins import PlugrtError

USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def exit_status(command: Callable[[], int]) -> int:
    """Run a command; every error that a user can cause becomes one line and a status."""
    _prepare_stdout()
    try:
        with _warnings_as_lines():
            status = command()
        sys.stdout.flush()
    except SystemExit as end:  # argparse, after --help and --version
        return _flushed(end.code if isinstance(end.code, int) else USER_ERROR)
    except KeyboardInterrupt:
        print("plugrt: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return BROKEN_PIPE
    except PlugrtError as error:
        return _flushed(_fail(str(error)))
    except OSError as error:
        status = _fail(_os_error_text(error))
        _abandon_stdout()
        return status
    except MemoryError as error:
        return _flushed(_fail(f"not enough memory: {error or 'use smaller shapes or batches'}"))
    return status


def warn(message: str) -> None:
    """Tell the user something on stderr that does not stop the command."""
    print(f"plugrt: warning: {one_line(message)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Text fit for one line of a terminal: no line breaks, no control characters."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


def _fail(message: str) -> int:
    print(f"plugrt: error: {one_line(message)}", file=sys.stderr)
    return USER_ERROR


def _os_error_text(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    name = error.filename
    if name is None:
        return reason
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {reason}"


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return BROKEN_PIPE
    except OSError as error:
        status = _fail(_os_error_text(error))
        _abandon_stdout()
    return status


def _prepare_stdout() -> None:
    """Names in any encoding can be printed, and a closed stdout does no harm."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - kept to the end
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Let Python's own flush at exit succeed when nobody can take our output."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Python's warnings and the log of plugrt, in the form of our other messages."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        warn(str(message))

    handler = _WarningHandler(logging.WARNING)
    log = logging.getLogger("plugrt")
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        log.removeHandler(handler)


class _WarningHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())
