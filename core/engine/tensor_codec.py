"""Tensors' descriptions from plain values, and whether they can be stored as they say."""

from __future__ import annotations

from math import prod
from typing import Any

from ...plugins import (
    DataType,
    Format,
    PlanError,
    Quantization,
    Shape,
    ShapeError,
    TensorDesc,
    format_shape,
)
from .dims_codec import MAXIMUM_SIZE, DimDecoder
from .plain import choice, integer, items, number, one_line, optional, refuse, row, text

_TYPES = tuple(member.value for member in DataType)
_ZERO_POINT = 2**31


def decode_tensor(value: Any, dims: DimDecoder, what: str) -> tuple[str, TensorDesc]:
    """(name, description) from `[name, type, shape, quantization]`. Raises PlanError."""
    name, dtype, shape, quantization = row(value, what, 4)
    found = dims.shape(shape, f"{what}.shape")
    return text(name, what), TensorDesc(
        DataType(choice(dtype, what, _TYPES)),
        found,
        quantization=optional(
            quantization, what, lambda item, at: decode_quantization(item, found, at)
        ),
    )


def decode_quantization(value: Any, shape: Shape, what: str) -> Quantization:
    """Scales from `[scales, zero points, axis]`, one per tensor or per index of the axis."""
    scales, zeros, axis = row(value, what, 3)
    last = len(shape) - 1
    along = optional(axis, what, lambda item, at: integer(item, at, 0, last))
    try:
        found = Quantization(
            tuple(items(scales, what, number)),
            tuple(items(zeros, what, lambda z, at: integer(z, at, -_ZERO_POINT, _ZERO_POINT))),
            along,
        )
    except ShapeError as error:
        raise PlanError(f"{what}: {one_line(error)}; build the plan again") from None
    if along is not None and len(found.scale) != 1 and len(found.scale) != shape[along]:
        refuse(what, f"{len(found.scale)} scales", f"one, or {shape[along]} (axis {along})")
    return found


def check_storage(desc: TensorDesc, layout: Format, what: str) -> None:
    """Refuse a format that the shape cannot have, and sizes beyond any memory."""
    if not layout.accepts(desc.shape):
        refuse(what, f"{layout.value} of shape {format_shape(desc.shape)}", "a format that fits")
    numbers = [size for size in desc.shape if isinstance(size, int)]
    if prod(max(size, 1) for size in numbers) > MAXIMUM_SIZE:
        refuse(what, f"of shape {format_shape(desc.shape)}", f"at most {MAXIMUM_SIZE} elements")
