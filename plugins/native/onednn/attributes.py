"""What a primitive does beside its own operation: post-ops, scales, zero points, fast math."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...data_types import DataType
from .._extension import ffi
from .constants import SCRATCHPAD_MODE_USER, Algorithm, FpMathMode, data_type_number
from .library import Library
from .memory import MemoryDesc


@dataclass(frozen=True)
class Eltwise:
    """Apply a function to the running value; `alpha` and `beta` as in `Algorithm`."""

    algorithm: Algorithm
    alpha: float = 0.0
    beta: float = 0.0


@dataclass(frozen=True)
class Binary:
    """Combine the running value (left) with a tensor of equal rank, dims 1 broadcasting.

    The tensor is bound to `post_op_operand(index)`.
    """

    algorithm: Algorithm
    operand: MemoryDesc


@dataclass(frozen=True)
class Sum:
    """Add scale * (what DST holds before - zero_point); `dtype` reads DST as another type."""

    scale: float = 1.0
    zero_point: int = 0
    dtype: DataType | None = None


PostOp = Eltwise | Binary | Sum


@dataclass(frozen=True)
class Attributes:
    """Attributes of a primitive; hashable, since they are part of its identity.

    `scales` and `zero_points` hold (argument, mask): bit i of the mask set means one value per
    index of dimension i; mask 0 one value in all. The values are bound at recording time to
    `scales_of(argument)` (float32) and `zero_points_of(argument)` (int32).
    """

    post_ops: tuple[PostOp, ...] = ()
    scales: tuple[tuple[int, int], ...] = ()
    zero_points: tuple[tuple[int, int], ...] = ()
    fpmath_mode: FpMathMode = FpMathMode.STRICT


def make_attributes(onednn: Library, attributes: Attributes) -> Any:
    """The oneDNN object. The scratchpad is always the user's. Raises DeviceError."""
    api = onednn.api
    attr = _create("onednn_attr *", api.primitive_attr_create, api.primitive_attr_destroy)
    check = onednn.check
    check(api.primitive_attr_set_scratchpad_mode(attr, SCRATCHPAD_MODE_USER), "scratchpad mode")
    if attributes.fpmath_mode is not FpMathMode.STRICT:
        status = api.primitive_attr_set_fpmath_mode(attr, attributes.fpmath_mode)
        check(status, f"{attributes.fpmath_mode!r}")
    for argument, mask in attributes.scales:
        status = api.primitive_attr_set_scales_mask(attr, argument, mask)
        check(status, f"scales of argument {argument} with mask {mask}")
    for argument, mask in attributes.zero_points:
        status = api.primitive_attr_set_zero_points_mask(attr, argument, mask)
        check(status, f"zero points of argument {argument} with mask {mask}")
    if attributes.post_ops:
        post_ops = _make_post_ops(onednn, attributes.post_ops)
        check(api.primitive_attr_set_post_ops(attr, post_ops), "post-ops")  # copies them
    return attr


def _make_post_ops(onednn: Library, post_ops: tuple[PostOp, ...]) -> Any:
    api = onednn.api
    chain = _create("onednn_post_ops *", api.post_ops_create, api.post_ops_destroy)
    for post_op in post_ops:
        if isinstance(post_op, Eltwise):
            status = api.post_ops_append_eltwise(
                chain, post_op.algorithm, post_op.alpha, post_op.beta
            )
        elif isinstance(post_op, Binary):
            status = api.post_ops_append_binary(chain, post_op.algorithm, post_op.operand.handle)
        else:
            dtype = 0 if post_op.dtype is None else data_type_number(post_op.dtype)
            status = api.post_ops_append_sum(chain, post_op.scale, post_op.zero_point, dtype)
        onednn.check(status, f"post-op {post_op}")
    return chain


def _create(kind: str, create: Callable[[Any], int], destroy: Callable[[Any], int]) -> Any:
    handle = ffi.new(kind)
    Library.check(create(handle), f"{kind} creation")
    return ffi.gc(handle[0], destroy)
