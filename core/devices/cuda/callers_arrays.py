"""Arrays that callers give: on the host, or on the GPU and used in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....plugins import Array, DeviceError, ShapeError, TensorDesc, format_shape
from ...runtime.context import as_array
from .events import DeviceStream
from .interchange import ForeignArray

Feed = Array | ForeignArray


def array_on_gpu(
    kind: str, name: str, value: Any, stream: DeviceStream, ordinal: int
) -> ForeignArray | None:
    """The memory of an array on this GPU, usable on `stream`; None for one on the host.

    Raises DeviceError for another GPU's, ShapeError for one with gaps.
    """
    found = None if isinstance(value, np.ndarray) else ForeignArray.of(value, stream)
    if found is None:
        return None
    if found.ordinal != ordinal:
        raise DeviceError(
            f"{kind} {name!r} lies on GPU {found.ordinal}, the engine runs on {ordinal}; copy it "
            "there, or load the engine for that GPU"
        )
    if not found.is_contiguous:
        raise ShapeError(
            f"{kind} {name!r} of shape {format_shape(found.shape)} has gaps or another order of "
            "axes; make it C-contiguous"
        )
    return found


def target_for(
    name: str, desc: TensorDesc, value: Any, stream: DeviceStream, ordinal: int
) -> Any:
    """Where an output goes: the caller's array on the host or GPU, or a new one on the host.

    Raises ShapeError for one that does not fit.
    """
    if value is None:
        return np.empty(desc.sizes, desc.dtype.numpy)
    found: Any = array_on_gpu("output", name, value, stream, ordinal)
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


def check_apart(feeds: Sequence[Feed], targets: Sequence[Any], names: Sequence[str]) -> None:
    """Outputs on the GPU may be written before all inputs are read, in any order. Raises
    ShapeError for one that lies in an input or in another output."""
    taken = [_span(feed) for feed in feeds if isinstance(feed, ForeignArray)]
    for name, target in zip(names, targets, strict=True):
        if not isinstance(target, ForeignArray):
            continue
        start, end = _span(target)
        if any(start < other_end and other < end for other, other_end in taken):
            raise ShapeError(
                f"output {name!r} shares memory with an input or another output; give it its own"
            )
        taken.append((start, end))


def _span(array: ForeignArray) -> tuple[int, int]:
    nbytes = array.dtype.itemsize * int(np.prod(array.shape, dtype=np.int64))
    return array.address, array.address + nbytes
