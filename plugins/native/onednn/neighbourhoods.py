"""Constructors: pooling, local response normalisation, resampling.

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
from .constants import FORWARD_INFERENCE, Algorithm
from .construct import PLAIN, SRC_DST, cached, dims_of
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def pooling(
    algorithm: Algorithm,
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding_before: Sequence[int],
    padding_after: Sequence[int],
    dilations: Sequence[int] | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """POOLING_MAX, or an average with or without the padding. Arguments: SRC, DST."""
    gaps = [dilation - 1 for dilation in dilations or [1] * len(strides)]
    create = library().api.pooling_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, src.handle, dst.handle,
                dims_of(strides), dims_of(kernel), dims_of(gaps), dims_of(padding_before),
                dims_of(padding_after), attr,
            )
        )  # fmt: skip

    key = (algorithm, src, dst, tuple(kernel), tuple(strides), tuple(gaps),
           tuple(padding_before), tuple(padding_after))  # fmt: skip
    return cached("pooling", make, SRC_DST, attributes, threads, skip, key)


def lrn(
    algorithm: Algorithm,
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    local_size: int,
    alpha: float,
    beta: float,
    k: float,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """x / (k + alpha / n * sum of squares) ** beta over `local_size` neighbours.

    n is local_size across channels, its square within a channel. Arguments: SRC, DST.
    """
    create = library().api.lrn_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, src.handle, dst.handle,
                local_size, alpha, beta, k, attr,
            )
        )  # fmt: skip

    key = (algorithm, src, dst, local_size, alpha, beta, k)
    return cached("lrn", make, SRC_DST, attributes, threads, skip, key)


def resampling(
    algorithm: Algorithm,
    src: MemoryDesc,
    dst: MemoryDesc,
    *,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """RESAMPLING_NEAREST or _LINEAR (half-pixel centres) to dst's size. Arguments: SRC, DST."""
    create = library().api.resampling_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, ffi.NULL, src.handle, dst.handle,
                attr,
            )
        )  # fmt: skip

    key = (algorithm, src, dst)
    return cached("resampling", make, SRC_DST, attributes, threads, skip, key)
