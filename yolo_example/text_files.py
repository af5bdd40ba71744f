"""Small text files that users give."""

from __future__ import annotations

from pathlib import Path

from plugrt.plugins import ModelError

LARGEST = 64 << 20
"""Bytes."""


def read_text(path: Path, what: str, wanted: str) -> str:
    """The text of a UTF-8 file.

    Raises ModelError when it cannot be read, is too large or is not text; `what` it holds and
    what is `wanted`, "a file with ...", are for the message.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path}: the file is too large to hold {what}; give {wanted}")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path}: byte offset {error.start} is not UTF-8 text; give {wanted}"
        ) from None
