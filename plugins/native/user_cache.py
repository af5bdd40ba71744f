"""Where plugrt keeps what it made for a user, to be made again where it is gone."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str, variable: str) -> Path | None:
    """The folder `name` in `$XDG_CACHE_HOME/plugrt`, else in `~/.cache/plugrt`. The environment
    variable `variable` names another one, or is `off`.

    None where it is switched off, or the user has no home.
    """
    chosen = os.environ.get(variable)
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        root = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return None
    return root / "plugrt" / name
