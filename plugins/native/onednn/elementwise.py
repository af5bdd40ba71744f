"""Constructors: functions of one or several tensors, element by element.

Descriptors are `MemoryDesc` (dims in the order N, C, spatial...), layouts of `any_layout` where
oneDNN may choose; `threads` is the team size to partition for; `skip` passes over that many
implementations, the best coming first. Primitives are cached and shared. Raises
UnsupportedPrimitiveError when oneDNN cannot do what is asked, DeviceError when it is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._extension import ffi
from .attributes import Attributes
from .constants import FORWARD_INFERENCE, Algorithm, Argument, source
from .construct import PLAIN, SRC_DST, cached, handles_of
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def eltwise(
    algorithm: Algorithm,
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    alpha: float = 0.0,
    beta: float = 0.0,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """One function of each element, see `Algorithm`. Arguments: SRC, DST."""
    create = library().api.eltwise_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, src.handle, dst.handle, alpha,
                beta, attr,
            )
        )  # fmt: skip

    key = (algorithm, src, dst, alpha, beta)
    return cached("eltwise", make, SRC_DST, attributes, threads, skip, key)


def binary(
    algorithm: Algorithm,
    left: MemoryDesc,
    right: MemoryDesc,
    dst: MemoryDesc,
    *,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """BINARY_* of equal ranks, dims 1 broadcasting. Arguments: SRC, SRC_1, DST."""
    create = library().api.binary_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(result, engine, algorithm, left.handle, right.handle, dst.handle, attr)
        )  # fmt: skip

    required = (Argument.SRC, Argument.SRC_1, Argument.DST)
    key = (algorithm, left, right, dst)
    return cached("binary", make, required, attributes, threads, skip, key)


def weighted_sum(
    sources: Sequence[MemoryDesc],
    dst: MemoryDesc,
    *,
    scales: Sequence[float],
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Sum of scales[i] * source i (oneDNN's `sum`). Arguments: `source(i)` each, DST."""
    create = library().api.sum_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        descs = handles_of(sources)
        factors = ffi.new("float[]", list(scales))
        return int(create(result, engine, dst.handle, len(sources), factors, descs, attr))

    required = (*(source(i) for i in range(len(sources))), Argument.DST)
    key = (tuple(sources), dst, tuple(scales))
    return cached("sum", make, required, attributes, threads, skip, key)
