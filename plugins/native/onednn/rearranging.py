"""Constructors: concatenation and change of layout or type.

Descriptors are `MemoryDesc` (dims in the order N, C, spatial...), layouts of `any_layout` where
oneDNN may choose; `threads` is the team size to partition for; `skip` passes over that many
implementations, the best coming first. Primitives are cached and shared. Raises
UnsupportedPrimitiveError when oneDNN cannot do what is asked, DeviceError when it is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .attributes import Attributes
from .constants import Argument, source
from .construct import PLAIN, SRC_DST, cached, handles_of
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def concat(
    sources: Sequence[MemoryDesc],
    dst: MemoryDesc,
    *,
    axis: int,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Concatenation along `axis`. Arguments: `source(i)` each, DST."""
    create = library().api.concat_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        descs = handles_of(sources)
        return int(create(result, engine, dst.handle, len(sources), axis, descs, attr))

    required = (*(source(i) for i in range(len(sources))), Argument.DST)
    key = (tuple(sources), dst, axis)
    return cached("concat", make, required, attributes, threads, skip, key)


def reorder(
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """The same dims in another layout or type. Arguments: SRC, DST."""
    create = library().api.reorder_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(create(result, src.handle, engine, dst.handle, engine, attr))

    return cached("reorder", make, SRC_DST, attributes, threads, skip, (src, dst))
