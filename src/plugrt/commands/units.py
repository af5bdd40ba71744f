"""Quantities for people."""

from __future__ import annotations


def bytes_text(count: int) -> str:
    """`512 B`, `1.5 KiB`, `24.0 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024 or unit == "GiB":
            break
    return f"{value:.1f} {unit}"


def milliseconds_text(seconds: float) -> str:
    """`1.234 ms`."""
    return f"{seconds * 1e3:.3f} ms"


def seconds_text(seconds: float) -> str:
    """`12 s`, `3 min`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def ratio_text(part: int, whole: int) -> str:
    """`1.05x`; a ratio to nothing is 1."""
    return f"{part / whole if whole else 1.0:.2f}x"
