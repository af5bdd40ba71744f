"""Comparing results with what a reference says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plugrt.plugins import Array, DataType, format_shape

from .outcome import CheckFailure

TOLERANCE = {
    DataType.FLOAT64: 1e-4,  # kernels may compute in float32
    DataType.FLOAT32: 1e-4,
    DataType.FLOAT16: 5e-3,
    DataType.BFLOAT16: 3e-2,
}
"""Allowed error, relative to the value plus a tenth of the tensor's root mean square."""

COARSE = 0.2
"""The same for narrower floats."""


def tolerance_of(dtype: DataType) -> float:
    """The kit's allowed relative error for results of a type."""
    return TOLERANCE.get(dtype, COARSE)


def compare(
    actual: Sequence[Array], expected: Sequence[Array], where: str, tolerance: float | None = None
) -> None:
    """Raise CheckFailure, saying where and how far, unless all outputs agree.

    Integers and bools must be equal; NaNs and infinities must be in the same places.
    """
    if len(actual) != len(expected):
        raise CheckFailure(f"{where}: {len(actual)} outputs instead of {len(expected)}")
    for index, (mine, wanted) in enumerate(zip(actual, expected, strict=True)):
        difference = array_difference(np.asarray(mine), np.asarray(wanted), tolerance)
        if difference is not None:
            raise CheckFailure(f"{where}: output {index} {difference}")


def array_difference(
    actual: Array, expected: Array, tolerance: float | None = None
) -> str | None:
    """None when two arrays agree, else how they differ."""
    if actual.shape != expected.shape:
        return f"is {format_shape(actual.shape)} instead of {format_shape(expected.shape)}"
    if not actual.size:
        return None
    dtype = DataType.of(actual.dtype)
    if not dtype.is_float:
        wrong = np.asarray(actual != expected.astype(actual.dtype))
        return _describe(actual, expected, wrong) if wrong.any() else None
    if tolerance is None or dtype is not DataType.FLOAT32:
        tolerance = max(tolerance or 0.0, tolerance_of(dtype))
    # Through the result's type: what overflows there may be infinite here too.
    with np.errstate(over="ignore"):
        wanted = expected.astype(actual.dtype).astype(np.float64)
    mine = actual.astype(np.float64)
    finite = np.isfinite(wanted)
    typical = float(np.sqrt(np.mean(np.square(wanted[finite])))) if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        near = np.abs(mine - wanted) <= tolerance * (np.abs(wanted) + 0.1 * typical + 1e-30)
    wrong = ~np.where(finite, near, (mine == wanted) | (np.isnan(mine) & np.isnan(wanted)))
    return _describe(actual, wanted, wrong) if wrong.any() else None


def _describe(actual: Array, expected: Array, wrong: Array) -> str:
    at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    place = ", ".join(str(int(i)) for i in at)
    return (
        f"differs in {int(wrong.sum())} of {wrong.size} elements, first at [{place}]: "
        f"{actual[at]!s} instead of {expected[at]!s}"
    )
