"""Choosing among oneDNN's implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .library import UnsupportedPrimitiveError
from .primitive import Primitive


def attempt(construct: Callable[..., Primitive], *args: Any, **kwargs: Any) -> Primitive | None:
    """`construct(*args, **kwargs)`; None where oneDNN has nothing, or nothing optimised.

    This is what a layer asks before it offers a tactic.
    """
    try:
        primitive = construct(*args, **kwargs)
    except UnsupportedPrimitiveError:
        return None
    return None if primitive.is_reference else primitive


def implementations(
    construct: Callable[..., Primitive], *args: Any, **kwargs: Any
) -> Iterator[Primitive]:
    """Every optimised implementation of `construct(*args, **kwargs)`, best first."""
    skip = 0
    while True:
        try:
            primitive = construct(*args, **kwargs, skip=skip)
        except UnsupportedPrimitiveError:
            return
        if not primitive.is_reference:
            yield primitive
        skip += 1
