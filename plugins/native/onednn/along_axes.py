"""Constructors: softmax and reductions.

Descriptors are `MemoryDesc` (dims in the order N, C, spatial...), layouts of `any_layout` where
oneDNN may choose; `threads` is the team size to partition for; `skip` passes over that many
implementations, the best coming first. Primitives are cached and shared. Raises
UnsupportedPrimitiveError when oneDNN cannot do what is asked, DeviceError when it is absent.
"""

from __future__ import annotations

from typing import Any

from .attributes import Attributes
from .constants import FORWARD_INFERENCE, Algorithm
from .construct import PLAIN, SRC_DST, cached
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def softmax(
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    axis: int,
    logarithm: bool = False,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Softmax along `axis` (not negative), or its logarithm. Arguments: SRC, DST."""
    algorithm = Algorithm.SOFTMAX_LOG if logarithm else Algorithm.SOFTMAX_ACCURATE
    create = library().api.softmax_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, src.handle, dst.handle, axis, attr
            )
        )  # fmt: skip

    key = (algorithm, src, dst, axis)
    return cached("softmax", make, SRC_DST, attributes, threads, skip, key)


def reduction(
    algorithm: Algorithm,
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    p: float = 0.0,
    epsilon: float = 0.0,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """REDUCTION_* over every dimension that is 1 in dst. Arguments: SRC, DST."""
    create = library().api.reduction_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(result, engine, algorithm, src.handle, dst.handle, p, epsilon, attr)
        )  # fmt: skip

    key = (algorithm, src, dst, p, epsilon)
    return cached("reduction", make, SRC_DST, attributes, threads, skip, key)
