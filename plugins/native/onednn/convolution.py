"""Constructors: convolution and its transpose.

Descriptors are `MemoryDesc` (dims in the order N, C, spatial...), layouts of `any_layout` where
oneDNN may choose; `threads` is the team size to partition for; `skip` passes over that many
implementations, the best coming first. Primitives are cached and shared. Raises
UnsupportedPrimitiveError when oneDNN cannot do what is asked, DeviceError when it is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .attributes import Attributes
from .constants import FORWARD_INFERENCE, Algorithm, Argument
from .construct import PLAIN, cached, dims_of, handle_of, with_bias
from .library import library
from .memory import MemoryDesc
from .primitive import Primitive


def convolution(
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    *,
    bias: MemoryDesc | None = None,
    strides: Sequence[int],
    padding_before: Sequence[int],
    padding_after: Sequence[int],
    dilations: Sequence[int] | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Convolution. Weights (O, I, spatial...), with groups (G, O/G, I/G, spatial...).

    The spatial sequences have one entry per spatial dimension; dilation 1 is dense.
    Arguments: SRC, WEIGHTS, BIAS if given, DST.
    """
    return _convolution(
        "convolution", Algorithm.CONVOLUTION_DIRECT, src, weights, dst, bias, strides,
        padding_before, padding_after, dilations, attributes, threads, skip,
    )  # fmt: skip


def deconvolution(
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    *,
    bias: MemoryDesc | None = None,
    strides: Sequence[int],
    padding_before: Sequence[int],
    padding_after: Sequence[int],
    dilations: Sequence[int] | None = None,
    attributes: Attributes = PLAIN,
    threads: int = 1,
    skip: int = 0,
) -> Primitive:
    """Transposed convolution; weights have *output* channels first: ([G,] O/G, I/G, spatial...).

    Arguments as for `convolution`.
    """
    return _convolution(
        "deconvolution", Algorithm.DECONVOLUTION_DIRECT, src, weights, dst, bias, strides,
        padding_before, padding_after, dilations, attributes, threads, skip,
    )  # fmt: skip


def _convolution(
    kind: str,
    algorithm: Algorithm,
    src: MemoryDesc,
    weights: MemoryDesc,
    dst: MemoryDesc,
    bias: MemoryDesc | None,
    strides: Sequence[int],
    padding_before: Sequence[int],
    padding_after: Sequence[int],
    dilations: Sequence[int] | None,
    attributes: Attributes,
    threads: int,
    skip: int,
) -> Primitive:
    # oneDNN counts the elements skipped, ONNX and we the distance.
    gaps = [dilation - 1 for dilation in dilations or [1] * len(strides)]
    create = getattr(library().api, f"{kind}_forward_primitive_desc_create")

    def make(result: Any, engine: Any, attr: Any) -> int:
        return int(
            create(
                result, engine, FORWARD_INFERENCE, algorithm, src.handle, weights.handle,
                handle_of(bias), dst.handle, dims_of(strides), dims_of(gaps),
                dims_of(padding_before), dims_of(padding_after), attr,
            )
        )  # fmt: skip

    required = (Argument.SRC, Argument.WEIGHTS, Argument.DST)
    key = (src, weights, dst, bias, tuple(strides), tuple(gaps), tuple(padding_before),
           tuple(padding_after))  # fmt: skip
    return cached(kind, make, with_bias(required, bias), attributes, threads, skip, key)
