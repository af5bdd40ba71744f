"""Files that appear complete, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, with the permissions of any new file.

    Raises OSError; what was at `path` is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # The system applies the umask, which cannot be read without changing it for all threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
