"""Gather by our own CUDA kernel: any element type, int32 and int64 indices."""

from __future__ import annotations

from math import prod

from ...plugins import DeviceError, Stream, TensorView
from ...plugins.native.cuda.copying import WORDS
from ..kernels_cuda import THREADS, blocks, kernel, stored

FILE = "gather/gather.cu"

_MOST = 2**32 - 1


def record(
    data: TensorView, indices: TensorView, output: TensorView, axis: int, stream: Stream
) -> None:
    """Put numpy.take(data, indices, axis) on the stream, for plain tensors; `axis` from 0.

    An index outside of the axis gives zeros. Raises DeviceError for too many elements.
    """
    shape = data.shape
    piece = prod(shape[axis + 1 :]) * data.dtype.itemsize
    together = piece | data.offset | output.offset
    word = max(size for size in WORDS if together % size == 0)
    words, count = piece // word, prod(indices.shape)
    total = prod(shape[:axis]) * count * words
    if total > _MOST:
        raise DeviceError(f"Gather of {output.desc} is too large for one kernel; split it")
    if not total:
        return
    stream.launch_grid(
        kernel(FILE, f"gather<{WORDS[word]}, {stored(indices.dtype)}>", "TTTIIIq"),
        blocks(total), (THREADS,), data, indices, output, total, words, count, shape[axis],
    )  # fmt: skip
