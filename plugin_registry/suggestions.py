"""Messages for plug-ins that are not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .kinds import Kind


def closest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The registered names most like `name`, with or without a vendor's prefix."""
    names = sorted(known)
    bare = _bare(name)
    same = [other for other in names if _bare(other) == bare]
    by_lower = {other.lower(): other for other in names}
    by_bare = {_bare(other): other for other in names}
    alike = [by_lower[found] for found in get_close_matches(name.lower(), by_lower, count)]
    alike += [by_bare[found] for found in get_close_matches(bare, by_bare, count)]
    return list(dict.fromkeys([*same, *alike]))[:count]


def _bare(name: str) -> str:
    return name.rpartition(".")[2].lower()


def missing(
    kind: Kind,
    name: str,
    known: Iterable[str],
    distribution: str | None = None,
    version: str | None = None,
) -> str:
    """The text of the error for a name that nobody registers.

    With `distribution` (a plan knows it) the text says what to install.
    """
    text = f"{kind.noun} {name!r} is not registered"
    if distribution:
        release = f"{distribution} {version}" if version else distribution
        wanted = f"{distribution}=={version}" if version else distribution
        return f"{text}; it comes from {release}: pip install {wanted}"
    near = closest(name, known)
    if near:
        text += f"; did you mean {' or '.join(map(repr, near))}?"
    return f"{text}{'' if near else ';'} `plugrt plugins list` shows what is installed"
