"""Arrays of the host that callers give to be read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...plugins import Array, DeviceError, ShapeError, TensorDesc, format_shape
from ..graph import Tensor


def input_arrays(
    inputs: Mapping[str, Any], tensors: Sequence[tuple[str, Any, Tensor]]
) -> list[Array]:
    """The arrays of a call in order, C-contiguous. `tensors` are name, NumPy type and tensor of
    each input. Raises ShapeError for one that is missing, unknown or of another type."""
    arrays = []
    for name, dtype, tensor in tensors:
        if name not in inputs:
            raise missing_input(name, inputs)
        array = as_array("input", name, inputs[name])
        if array.dtype != dtype:
            raise wrong_type(name, array.dtype, tensor)
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            array = np.array(array, order="C")
        arrays.append(array)
    if len(inputs) > len(arrays):
        raise unknown_input(inputs, [name for name, _, _ in tensors])
    return arrays


def output_arrays(
    outputs: Mapping[str, Any], names: Sequence[str], descs: Sequence[TensorDesc]
) -> list[Array]:
    """Where each result goes: a given array, or a new one. Raises ShapeError for one that is
    unknown or does not fit."""
    unknown = [name for name in outputs if name not in names]
    if unknown:
        raise ShapeError(f"unknown output {unknown[0]!r}; the engine has: {', '.join(names)}")
    results = []
    for name, desc in zip(names, descs, strict=True):
        array = outputs.get(name)
        if array is None:
            array = np.empty(desc.sizes, desc.dtype.numpy)
        elif not isinstance(array, np.ndarray):
            array = as_array("output", name, array)
        fits = array.shape == desc.sizes and array.dtype == desc.dtype.numpy
        if not (fits and array.flags.carray):
            raise ShapeError(
                f"output {name!r} needs a writable C-contiguous {desc.dtype.value} array of "
                f"shape {format_shape(desc.sizes)}; got {array.dtype} {array.shape}"
            )
        results.append(array)
    return results


def check_apart(
    inputs: Iterable[tuple[str, Any]], outputs: Iterable[tuple[str, Any]],
    overlap: Callable[[Any, Any], bool] = np.may_share_memory,
) -> None:  # fmt: skip
    """Outputs may be written before all inputs are read, in any order. Raises ShapeError for one
    that lies in an input or in another output, as `overlap` tells."""
    taken = [(f"input {name!r}", array) for name, array in inputs]
    for name, output in outputs:
        for what, array in taken:
            if overlap(output, array):
                raise ShapeError(f"output {name!r} shares memory with {what}; give it its own")
        taken.append((f"output {name!r}", output))


def missing_input(name: str, inputs: Mapping[str, Any]) -> ShapeError:
    """The error for an input that was not given."""
    given = ", ".join(map(repr, inputs)) or "none"
    return ShapeError(f"input {name!r} is missing; given: {given}")


def unknown_input(inputs: Mapping[str, Any], names: Sequence[str]) -> ShapeError:
    """The error for the first of `inputs` that is none of `names`."""
    extra = next(name for name in inputs if name not in names)
    return ShapeError(
        f"unknown input {extra!r}; the engine has: {', '.join(map(repr, names))}"
    )


def wrong_type(name: str, found: object, tensor: Tensor) -> ShapeError:
    """The error for an input whose elements are `found`."""
    return ShapeError(
        f"input {name!r} has type {found}; expected {tensor.dtype.value}: convert it with .astype"
    )


def as_array(kind: str, name: str, value: Any) -> Array:
    """An array of the host. `kind` is what it is for. Raises DeviceError where it cannot be
    read there."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise DeviceError(
                f"{kind} {name!r}: {type(value).__name__} cannot be read as CPU memory ({error}); "
                "move it to the CPU first"
            ) from None
    return np.asarray(value)
