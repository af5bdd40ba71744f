"""NonZero by our own CUDA kernels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...plugins import DataType, Stream, Tactic, TensorDesc, TensorView
from ..kernels_cuda import THREADS, kernel

TACTIC = Tactic("cuda")

FILE = "non_zero/non_zero.cu"

CHUNKS = 1024
"""Blocks that count and write on their own, at most."""

MAXIMUM_RANK = 8

_CHUNK = 4096
"""Elements for which a block is worth while."""

_BITS = {1: "plugrt::uint8", 2: "plugrt::uint16", 4: "plugrt::uint32", 8: "plugrt::uint64"}


def workspace_size(inputs: Sequence[TensorDesc]) -> int:
    """Scratch bytes: a count for every chunk."""
    return _chunks(prod(inputs[0].sizes)) * DataType.INT64.itemsize


def record(
    source: TensorView, outputs: Sequence[TensorView], workspace: TensorView, stream: Stream
) -> None:
    """Put the layer on the stream, for a plain source; `workspace` has `workspace_size` bytes."""
    count = prod(source.shape)
    bits = 8 * source.dtype.itemsize
    # The sign does not make a floating-point zero a non-zero.
    mask = (1 << bits) - 1 if not source.dtype.is_float else (1 << (bits - 1)) - 1
    name, grid = _BITS[source.dtype.itemsize], (_chunks(count),)
    stream.launch_grid(
        kernel(FILE, f"count_chunks<{name}>", "TTQQ"), grid, (THREADS,),
        source, workspace, mask, count,
    )  # fmt: skip
    stream.launch_grid(
        kernel(FILE, f"write_chunks<{name}>", f"TTTTQQi{MAXIMUM_RANK}I"), grid, (THREADS,),
        source, workspace, *outputs, mask, count, source.desc.rank, source.shape,
    )  # fmt: skip


def _chunks(count: int) -> int:
    return min(max(-(-count // _CHUNK), 1), CHUNKS)
