"""Constructors: matrix products.

Descriptors are `MemoryDesc` (dims in the order N, C, spatial...), layouts of `any_layout` where
oneDNN may choose; `threads` is the team size to partition for; `skip` passes over that many
implementations, the best coming first. Primitives are cached and shared. Raises
UnsupportedPrimitiveError when oneDNN cannot do what is asked, DeviceError when it is absent.
"""

from __future__ import annotations

from typing import Any

from .attributes import Attributes
from .constants import FORWARD_INFERENCE, Argument
from .construct import PLAIN, cached, handle_of, with_bias
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def inner_product(
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    *,
    bias: MemoryDesc | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Fully connected: src (N, C, spatial...), weights (O, C, spatial...), dst (N, O), bias (O).

    Arguments: SRC, WEIGHTS, BIAS if given, DST.
    """
    create = library().api.inner_product_forward_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, src.handle, weights.handle, handle_of(bias),
                dst.handle, attr,
            )
        )  # fmt: skip

    required = with_bias((Argument.SRC, Argument.WEIGHTS, Argument.DST), bias)
    key = (src, weights, dst, bias)
    return cached("inner_product", make, required, attributes, threads, skip, key)


def matmul(
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    *,
    bias: MemoryDesc | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Matrix product (..., M, K) x (..., K, N) -> (..., M, N), equal ranks, batch dims 1 broadcast.

    A strided `dst` is a leading dimension. Bias has dst's rank. Arguments as `inner_product`.
    """
    create = library().api.matmul_primitive_desc_create

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, src.handle, weights.handle, handle_of(bias), dst.handle, attr
            )
        )  # fmt: skip

    required = with_bias((Argument.SRC, Argument.WEIGHTS, Argument.DST), bias)
    key = (src, weights, dst, bias)
    return cached("matmul", make, required, attributes, threads, skip, key)
