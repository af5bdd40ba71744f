"""What all constructors of primitives share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from .._extension import ffi
from .attributes import Attributes
from .cache import primitives
from .constants import Argument
from .memory import MAXIMUM_RANK, MemoryDesc
from .primitive import CreateDesc, Primitive

PLAIN = Attributes()

SRC_DST = (Argument.SRC, Argument.DST)


def cached(
    kind: str,
    make: CreateDesc,
    required: tuple[int, ...],
    attributes: Attributes,
    threads: int,
    skip: int,
    key: tuple[Hashable, ...],
) -> Primitive:
    """The primitive from the cache, made by `make` when it is not there."""
    identity = (kind, key, attributes, threads, skip)
    return primitives.get(
        identity,
        lambda: Primitive(kind, make, required, attributes, threads, skip, identity),
    )


def with_bias(required: tuple[int, ...], bias: MemoryDesc | None) -> tuple[int, ...]:
    """Required arguments, with the bias if there is one."""
    return required if bias is None else (*required, Argument.BIAS)


def handle_of(desc: MemoryDesc | None) -> Any:
    """The native description, or NULL."""
    return ffi.NULL if desc is None else desc.handle


def handles_of(descs: Sequence[MemoryDesc]) -> Any:
    """An array of native descriptions."""
    return ffi.new("onednn_const_memory_desc[]", [desc.handle for desc in descs])


def dims_of(values: Sequence[int]) -> Any:
    """An array of dims; oneDNN reads whole dnnl_dims_t in places."""
    return ffi.new(f"int64_t[{MAXIMUM_RANK}]", list(values))
