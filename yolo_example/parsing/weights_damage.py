"""Telling how a weights file was damaged, so that the message can say what to do.

Copies in text mode are the usual cause: line ends are translated, or bytes that are no text
are replaced. Bytes of trained values are close to random ones, so that this leaves traces.
"""

from __future__ import annotations

import codecs

import numpy as np

from plugrt.plugins import Array

SAMPLE = 16 << 20
LARGEST = 1e20
"""No trained net holds values near it; the exponents of misaligned bytes often exceed it."""

FEW = 16
"""Line ends below this number prove nothing."""

PRINTABLE = np.zeros(256, bool)
PRINTABLE[[9, 10, 13, *range(32, 127)]] = True

LINE_FEED, CARRIAGE_RETURN = 10, 13


def describe_text(data: Array) -> str | None:
    """What to say of a file that begins as text, else None."""
    head = data[:512]
    if len(head) < 16 or not PRINTABLE[head].all():
        return None
    first = head[:60].tobytes().decode("ascii").splitlines()[0]
    return (
        f"byte offset 0: this is a text file (it begins {first!r}), not weights; "
        "are the files exchanged, or is it a pointer or a page in place of the download?"
    )


def describe_damage(data: Array) -> str | None:
    """The trace of a copy in text mode, and what to do; None where there is none."""
    sample = data[:SAMPLE]
    at = np.flatnonzero(sample[1:] == LINE_FEED)
    after_return = int(np.count_nonzero(sample[at] == CARRIAGE_RETURN))
    if len(at) >= FEW and after_return == len(at):
        return (
            "every line feed in it follows a carriage return, so a copy in text mode has "
            "inserted bytes: get it again in binary mode"
        )
    if np.count_nonzero(sample >= 0x80) >= FEW and _is_utf8(sample):
        return (
            "its bytes are valid UTF-8 throughout, so it was decoded and written as text: get it "
            "again in binary mode"
        )
    if len(sample) > FEW << 16 and after_return == 0:
        return (
            "no line feed in it follows a carriage return, so a copy in text mode has probably "
            "removed bytes: get it again in binary mode"
        )
    return None


def implausible(kind: str, values: Array) -> tuple[int, str] | None:
    """The index of the first value that no training leaves in a blob of this kind, and why."""
    finite = np.isfinite(values)
    if not finite.all():
        return int(np.argmin(finite)), "which is not a finite number"
    large = np.abs(values) > LARGEST
    if large.any():
        return int(np.argmax(large)), f"which is beyond {LARGEST:g}"
    negative = values < 0
    if kind == "variance" and negative.any():
        return int(np.argmax(negative)), "but a variance is never negative"
    return None


def _is_utf8(data: Array) -> bool:
    try:
        # Not final: the sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(data.tobytes())
    except UnicodeDecodeError:
        return False
    return True
