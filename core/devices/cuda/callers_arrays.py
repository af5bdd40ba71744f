"""Arrays that callers give: on the host, or on the GPU and used in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....plugins import (
    Array,
    DeviceError,
    PlugrtError,
    ShapeError,
    TensorDesc,
    format_shape,
)
from ...graph import Tensor
from ...runtime.callers_arrays import as_array, missing_input, unknown_input, wrong_type
from ...runtime.context import Outputs
from .events import DeviceStream
from .interchange import ForeignArray

Feed = Array | ForeignArray

ON_DEVICE = "device"
"""What `outputs` says for results that stay on the GPU."""


def is_on_host(value: Any) -> bool:
    """Of an input, or of where an output goes: None stands for a new array on the host."""
    return value is None or isinstance(value, np.ndarray)


def feeds_of(
    inputs: Mapping[str, Any], tensors: Sequence[tuple[str, Any, Tensor]], stream: DeviceStream
) -> list[Feed]:
    """The arrays of a call in order; those on the GPU are usable on `stream`. `tensors` are name,
    NumPy type and tensor of each input.

    Raises ShapeError for one that is missing, unknown or of another type, DeviceError for one
    on another GPU.
    """
    feeds: list[Feed] = []
    for name, dtype, tensor in tensors:
        if name not in inputs:
            raise missing_input(name, inputs)
        value = inputs[name]
        if not isinstance(value, np.ndarray):
            foreign = array_on_gpu("input", name, value, stream)
            if foreign is not None:
                if foreign.dtype is not tensor.dtype:
                    raise wrong_type(name, foreign.dtype.value, tensor)
                feeds.append(foreign)
                continue
            value = as_array("input", name, value)
        if value.dtype != dtype:
            raise wrong_type(name, value.dtype, tensor)
        feeds.append(value)
    if len(inputs) > len(feeds):
        raise unknown_input(inputs, [name for name, _, _ in tensors])
    return feeds


def targets_of(
    outputs: Outputs, names: Sequence[str], descs: Sequence[TensorDesc], stream: DeviceStream
) -> list[Any]:
    """Where each result of a call goes, when not to new arrays of the GPU: an array of the
    host, a foreign one, or None for a new one of the host.

    Raises ShapeError for one that is unknown or does not fit, PlugrtError for a word that says
    nothing.
    """
    if not outputs:
        return [None] * len(names)
    if isinstance(outputs, str):
        raise PlugrtError(f"outputs={outputs!r} is not possible; give arrays, 'device' or None")
    unknown = [name for name in outputs if name not in names]
    if unknown:
        raise ShapeError(f"unknown output {unknown[0]!r}; the engine has: {', '.join(names)}")
    return [
        target_for(name, desc, outputs.get(name), stream)
        for name, desc in zip(names, descs, strict=True)
    ]


def array_on_gpu(
    kind: str, name: str, value: Any, stream: DeviceStream
) -> ForeignArray | None:
    """The memory of an array on the GPU of `stream`, usable there; None for one on the host.

    Raises DeviceError for another GPU's, ShapeError for one with gaps.
    """
    found = None if isinstance(value, np.ndarray) else ForeignArray.of(value, stream)
    if found is None:
        return None
    if found.ordinal != stream.ordinal:
        raise DeviceError(
            f"{kind} {name!r} lies on GPU {found.ordinal}, the engine runs on {stream.ordinal}; "
            "copy it there, or load the engine for that GPU"
        )
    if not found.is_contiguous:
        raise ShapeError(
            f"{kind} {name!r} of shape {format_shape(found.shape)} has gaps or another order of "
            "axes; make it C-contiguous"
        )
    return found


def target_for(name: str, desc: TensorDesc, value: Any, stream: DeviceStream) -> Any:
    """Where an output goes: the caller's array on the host or GPU, or None as it is.

    Raises ShapeError for one that does not fit.
    """
    if value is None:
        return None
    found: Any = array_on_gpu("output", name, value, stream)
    if found is not None:
        fits = found.shape == desc.sizes and found.dtype is desc.dtype
        told = found.dtype.value
    else:
        found = as_array("output", name, value)
        fits = found.shape == desc.sizes and found.dtype == desc.dtype.numpy
        fits, told = fits and found.flags.carray, str(found.dtype)
    if not fits:
        raise ShapeError(
            f"output {name!r} needs a writable C-contiguous {desc.dtype.value} array of shape "
            f"{format_shape(desc.sizes)}; got {told} {found.shape}"
        )
    return found


def overlap(one: Any, other: Any) -> bool:
    """Whether two arrays may share memory, both of the host or both of the GPU."""
    if isinstance(one, ForeignArray) and isinstance(other, ForeignArray):
        (start, end), (other_start, other_end) = _span(one), _span(other)
        return start < other_end and other_start < end
    if isinstance(one, ForeignArray) or isinstance(other, ForeignArray):
        return False
    return np.may_share_memory(one, other)


def _span(array: ForeignArray) -> tuple[int, int]:
    nbytes = array.dtype.itemsize * int(np.prod(array.shape, dtype=np.int64))
    return array.address, array.address + nbytes
