"""From one type and format to another: which layers of which role it takes."""

from __future__ import annotations

from dataclasses import replace

from ...plugin_registry import Registry
from ...plugins import TensorDesc
from ..devices.target import Target
from .candidates import Place

Step = tuple[str, Place, Place]
"""(role, from, to)."""


def conversion_path(
    desc: TensorDesc, source: Place, wanted: Place, registry: Registry, target: Target
) -> list[Step]:
    """At most a cast and a reformat, in the order that moves fewer bytes; a cast alone where the
    registered one changes the format on the way."""
    (dtype, layout), (wanted_type, wanted_layout) = source, wanted
    if layout is wanted_layout:
        return [("cast", source, wanted)] if dtype is not wanted_type else []
    if dtype is wanted_type:
        return [("reformat", source, wanted)]
    before, after = (replace(desc, dtype=t, format=f, value=None) for t, f in (source, wanted))
    cast = registry.by_role("cast")()
    if target.has_kernels_for(cast) and cast.supportsFormat(
        target.combination((before,), (after,))
    ):
        return [("cast", source, wanted)]
    if wanted_type.itemsize <= dtype.itemsize:
        middle = (wanted_type, layout)
        return [("cast", source, middle), ("reformat", middle, wanted)]
    middle = (dtype, wanted_layout)
    return [("reformat", source, middle), ("cast", middle, wanted)]
