"""From one type and format to another: which layers of which role it takes."""

from __future__ import annotations

from .candidates import Place

Step = tuple[str, Place, Place]
"""(role, from, to)."""


def conversion_path(source: Place, target: Place) -> list[Step]:
    """At most a cast and a reformat, in the order that moves fewer bytes."""
    (dtype, layout), (wanted, wanted_layout) = source, target
    if layout is wanted_layout:
        return [("cast", source, target)] if dtype is not wanted else []
    if dtype is wanted:
        return [("reformat", source, target)]
    if wanted.itemsize <= dtype.itemsize:
        middle = (wanted, layout)
        return [("cast", source, middle), ("reformat", middle, target)]
    middle = (dtype, wanted_layout)
    return [("reformat", source, middle), ("cast", middle, target)]
