"""Values of options, each with the message for a wrong one."""

from __future__ import annotations

from argparse import ArgumentTypeError


def fraction(text: str) -> float:
    """A number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def natural(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    value = natural(text)
    if value < 1:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return value
