"""Values of options: sizes, shapes and pairs, each with the message for a wrong one."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

from plugrt import ShapeProfile

MAXIMUM_THREADS = 1024
MAXIMUM_DIMENSION = 2**31 - 1
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_BYTES = re.compile(r"(\d{1,15})([KMG]?)(?:i?B)?", re.IGNORECASE)


def byte_count(text: str) -> int:
    """`65536`, `64K`, `512M`, `2G`."""
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no size; give bytes such as 65536, 64K, 512M or 2G")
    return int(found[1]) * UNITS[found[2].upper()]


def thread_count(text: str) -> int:
    """A team size."""
    return _whole(text, 1, MAXIMUM_THREADS)


def batch_size(text: str) -> int:
    """A size of axis 0."""
    return _whole(text, 1, MAXIMUM_DIMENSION)


def seed(text: str) -> int:
    """A seed of random numbers."""
    return _whole(text, 0, 2**64 - 1)


def seconds(text: str) -> float:
    """A time above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is no time; give seconds above zero")
    return value


def shape(text: str) -> tuple[int, ...]:
    """`1x3x416x416`; `scalar` has no dimensions."""
    if text == "scalar":
        return ()
    parts = text.split("x")
    if not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise ArgumentTypeError(f"{text!r} is no shape; write it like 1x3x416x416")
    sizes = tuple(map(int, parts))
    if max(sizes) > MAXIMUM_DIMENSION:
        raise ArgumentTypeError(f"{text!r} has a dimension above {MAXIMUM_DIMENSION}")
    return sizes


def input_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`INPUT=DIMS`."""
    name, dims = _pair(text, "INPUT=DIMS, such as image=1x3x416x416")
    return name, shape(dims)


def input_profile(text: str) -> tuple[str, ShapeProfile]:
    """`INPUT=MIN:OPT:MAX`."""
    form = "INPUT=MIN:OPT:MAX, such as image=1x3x416x416:4x3x416x416:8x3x416x416"
    name, limits = _pair(text, form)
    shapes = limits.split(":")
    if len(shapes) != 3:
        raise ArgumentTypeError(f"{text!r} has {len(shapes)} shapes, not 3; write {form}")
    return name, ShapeProfile(*map(shape, shapes))


def substitution(text: str) -> tuple[str, str]:
    """`TYPE=BY`."""
    return _pair(text, "TYPE=BY, the layer type and the one that takes its place")


def _pair(text: str, form: str) -> tuple[str, str]:
    """The two sides of the last `=`: names may hold one, what follows them may not."""
    name, _, value = text.rpartition("=")
    if not name or not value:
        raise ArgumentTypeError(f"{text!r} is incomplete; write {form}")
    return name, value


def _whole(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ArgumentTypeError(f"{text!r} is not possible; give a whole number {least} to {most}")
    return value
