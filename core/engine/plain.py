"""Plain values: JSON read without trust, and the checks every field goes through.

Each check takes `what`, the field's path in the description, and raises PlanError naming it,
the value found and the values allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import isfinite
from reprlib import Repr
from typing import Any, NoReturn, TypeVar

from ...plugins import PlanError

MAXIMUM_BYTES = 16 * 2**20
"""Bytes of one JSON section; a network of a thousand layers takes about half of one MiB."""

MAXIMUM_INTEGER = 2**63 - 1

_MAXIMUM_DIGITS = 20
_MAXIMUM_MESSAGE = 400

Item = TypeVar("Item")

_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlevel = 2


def encode(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII. Raises PlanError when it is too long."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if len(text) > MAXIMUM_BYTES:
        raise PlanError(
            f"the network's description takes {len(text):,} bytes; plans hold at most "
            f"{MAXIMUM_BYTES:,}: build the network in parts"
        )
    return text.encode("ascii")


def decode(text: memoryview, what: str) -> Any:
    """The value of a JSON text."""
    if text.nbytes > MAXIMUM_BYTES:
        refuse(what, f"{text.nbytes:,} bytes", f"at most {MAXIMUM_BYTES:,}")
    try:
        return json.loads(
            bytes(text).decode("ascii"), parse_int=_parse_integer, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise PlanError(
            f"{what} is no valid JSON ({one_line(error)}); build the plan again"
        ) from None


def refuse(what: str, found: object, allowed: str) -> NoReturn:
    """Raise PlanError for a value that cannot be right."""
    text = found if isinstance(found, str) else _short.repr(found)
    raise PlanError(f"{what} is {text}, expected {allowed}; the plan is damaged: build it again")


def one_line(error: BaseException) -> str:
    """An error's text, cut to one line of limited length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MAXIMUM_MESSAGE else f"{text[:_MAXIMUM_MESSAGE]}..."


def record(value: Any, what: str, *names: str) -> list[Any]:
    """The values of an object that has exactly these members, in this order."""
    if not isinstance(value, dict) or set(value) != set(names):
        found = sorted(value) if isinstance(value, dict) else value
        refuse(what, found, f"an object with {', '.join(names)}")
    return [value[name] for name in names]


def row(value: Any, what: str, size: int) -> list[Any]:
    """The values of an array of known length."""
    if not isinstance(value, list) or len(value) != size:
        refuse(what, value, f"an array of {size} values")
    return value


def items(
    value: Any, what: str, read: Callable[[Any, str], Item], maximum: int | None = None
) -> list[Item]:
    """The elements of an array, each through `read`."""
    if not isinstance(value, list):
        refuse(what, value, "an array")
    if maximum is not None and len(value) > maximum:
        refuse(what, f"an array of {len(value)}", f"at most {maximum} values")
    return [read(element, f"{what}[{index}]") for index, element in enumerate(value)]


def members(value: Any, what: str) -> dict[str, Any]:
    """An object with any members."""
    if not isinstance(value, dict):
        refuse(what, value, "an object")
    return value


def integer(value: Any, what: str, low: int = 0, high: int = MAXIMUM_INTEGER) -> int:
    """A whole number within [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        refuse(what, value, f"an integer from {low} to {high}")
    return value


def optional(
    value: Any, what: str, read: Callable[[Any, str], Item]
) -> Item | None:
    """None for null, else the value through `read`."""
    return None if value is None else read(value, what)


def number(value: Any, what: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        refuse(what, value, "a finite number")
    return float(value)


def flag(value: Any, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        refuse(what, value, "true or false")
    return value


def text(value: Any, what: str) -> str:
    """A string."""
    if not isinstance(value, str):
        refuse(what, value, "a string")
    return value


def choice(value: Any, what: str, allowed: Sequence[str]) -> str:
    """One of several strings."""
    if value not in allowed:
        refuse(what, value, f"one of {', '.join(allowed)}")
    return str(value)


def indices(value: Any, what: str, count: int) -> frozenset[int]:
    """Distinct positions below `count`."""
    found = items(value, what, lambda item, where: integer(item, where, 0, count - 1))
    if len(set(found)) != len(found):
        refuse(what, found, "no position twice")
    return frozenset(found)


def _parse_integer(digits: str) -> int:
    if len(digits) > _MAXIMUM_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
