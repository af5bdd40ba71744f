"""Machine code beside a plan's decisions: bytes by the device's own keys.

A table of [key, length], and the bytes, one behind the other. Only their bounds are checked here;
what they do nobody can, so they are handed on for trusted plans alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .plain import integer, items, refuse, row, text

_KEY = re.compile(r"[0-9a-f]{64}")


def encode_code(code: Mapping[str, bytes]) -> list[list[Any]]:
    """The table."""
    return [[key, len(payload)] for key, payload in sorted(code.items())]


def decode_code(table: Any, content: memoryview, what: str) -> dict[str, memoryview]:
    """Views of the bytes by key. Raises PlanError where table and bytes do not fit."""
    found: dict[str, memoryview] = {}
    start = 0
    for index, entry in enumerate(items(table, what, lambda value, name: row(value, name, 2))):
        where = f"{what}[{index}]"
        key = text(entry[0], where)
        length = integer(entry[1], where, 1, content.nbytes - start)
        if _KEY.fullmatch(key) is None or key in found:
            refuse(where, key, "64 hexadecimal digits, each key once")
        found[key] = content[start : start + length]
        start += length
    if start != content.nbytes:
        refuse(what, f"{start} bytes", f"{content.nbytes}, the length of its section")
    return found
