"""Comparing the names of distributions."""

from __future__ import annotations

import re
from functools import cache

BUILT_IN = "plugrt"
"""The distribution whose plug-ins come first where two claim one name."""


def seniority(distribution: str | None) -> tuple[bool, str]:
    """Sort key by which one distribution precedes another in a conflict."""
    name = normalised(distribution or "")
    return (name != BUILT_IN, name)


@cache
def normalised(distribution: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def same_distribution(left: str | None, right: str | None) -> bool:
    """Whether two names mean one distribution."""
    return normalised(left or "") == normalised(right or "")
