"""Bringing constants into the layouts that primitives prefer, once."""

from __future__ import annotations

from ...tensor import Array
from ..immediate import aligned_empty
from .attributes import Attributes
from .constants import Argument
from .memory import MemoryDesc
from .rearranging import reorder


def pack(
    array: Array,
    from_desc: MemoryDesc,
    to_desc: MemoryDesc,
    *,
    attributes: Attributes = Attributes(),  # noqa: B008 - immutable
    threads: int = 1,
) -> Array:
    """`array` (C-contiguous, laid out as `from_desc`) as an aligned uint8 buffer of `to_desc`.

    Converts types too, and adds the compensation that some int8 layouts carry. Raises
    UnsupportedPrimitiveError when oneDNN has no such reorder, DeviceError when it fails.
    """
    packed = aligned_empty(to_desc.nbytes)
    primitive = reorder(from_desc, to_desc, attributes=attributes, threads=threads)
    primitive.execute({Argument.SRC: array, Argument.DST: packed})
    return packed


def unpack(
    packed: Array,
    from_desc: MemoryDesc,
    to_desc: MemoryDesc,
    *,
    threads: int = 1,
) -> Array:
    """Inverse of `pack` for dense `to_desc`: a row-major array of its dims and type."""
    flat = pack(packed, from_desc, to_desc, threads=threads)
    return flat.view(to_desc.dtype.numpy).reshape(to_desc.dims)
