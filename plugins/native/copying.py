"""Copies between any strides and formats: copy, reformat, slice, concatenation, transposition.

A copy moves items unchanged; to change their type use a pointwise pass. Shapes are logical, so
that a reformat is a copy between descriptions of equal shape and different `format`, and a
slice or a place in a concatenation is `TensorView.slice`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from ..dims import format_shape
from ..errors import DeviceError, ShapeError
from ..stream import Stream
from ..tensor import Array, Format, TensorDesc, TensorView
from ._extension import extension_available, kernel_address, lib, require_extension
from .geometry import Operand, loops_over
from .immediate import desc_of, run_kernel

_OUTER = 10
_ARGUMENTS = struct.Struct(f"@IIQIIQ4i{3 * _OUTER}q6q")

# Bytes above which waking a team pays; strided copies move fewer bytes per second.
_PARALLEL_BYTES = 65536
_PARALLEL_STRIDED_BYTES = 16384

# Rows below which a plane costs more to enter than to copy.
_MANY = 16

Ref = tuple[int, int]


@dataclass(frozen=True)
class _Loop:
    size: int
    source: int
    destination: int


@dataclass(frozen=True)
class CopyPass:
    """A copy between two fixed descriptions."""

    mode: str
    item_size: int
    outer: tuple[_Loop, ...]
    rows: _Loop
    columns: _Loop
    is_parallel: bool
    is_empty: bool = False

    @property
    def address(self) -> int:
        """The kernel."""
        return kernel_address("plugrt_copy")

    def arguments(self, source: Ref, destination: Ref) -> bytes:
        """The kernel's argument block for tensors at these (slot, byte offset) places."""
        outer = [*self.outer, *[_Loop(1, 0, 0)] * (_OUTER - len(self.outer))]
        return _ARGUMENTS.pack(
            source[0], 0, source[1],
            destination[0], 0, destination[1],
            getattr(lib, f"PLUGRT_COPY_{self.mode}"), self.item_size, self.is_parallel,
            len(self.outer),
            *(loop.size for loop in outer),
            *(loop.source for loop in outer),
            *(loop.destination for loop in outer),
            self.rows.size, self.rows.source, self.rows.destination,
            self.columns.size, self.columns.source, self.columns.destination,
        )  # fmt: skip


def available() -> bool:
    """True when copies can be recorded."""
    return extension_available()


def compile_copy(source: TensorDesc, destination: TensorDesc) -> CopyPass:
    """The copy from `source`, which may broadcast, to `destination`, of one element type.

    Raises ShapeError when types differ or shapes do not fit, DeviceError without the extension.
    """
    require_extension()
    if source.dtype is not destination.dtype:
        raise ShapeError(
            f"a copy cannot turn {source.dtype.value} into {destination.dtype.value}; "
            "use a pointwise pass"
        )
    return _compile(replace(source, value=None), replace(destination, value=None))


@lru_cache(maxsize=4096)
def _compile(source: TensorDesc, destination: TensorDesc) -> CopyPass:
    item = destination.dtype.itemsize
    nothing = _Loop(1, 0, 0)
    if 0 in destination.sizes:
        return CopyPass("RUNS", item, (), nothing, nothing, False, is_empty=True)
    walked = loops_over(destination, [Operand(source)])
    loops = [
        _Loop(size, *steps) for size, *steps in zip(walked.sizes, *walked.strides, strict=True)
    ]
    nbytes = prod(walked.sizes) * item
    loops, item = _widened(loops, item)
    mode, rows, columns, outer = _plane(loops, item)
    if len(outer) > _OUTER:
        raise DeviceError(f"{len(loops)} nested loops are too many; copy between dense tensors")
    threshold = _PARALLEL_BYTES if mode == "RUNS" else _PARALLEL_STRIDED_BYTES
    return CopyPass(mode, item, tuple(outer), rows, columns, nbytes >= threshold)


def _widened(loops: list[_Loop], item: int) -> tuple[list[_Loop], int]:
    """A contiguous run as short as a wider item becomes one."""
    if loops and loops[-1].source == loops[-1].destination == item:
        run = loops[-1].size * item
        if run in (2, 4, 8, 16):
            return loops[:-1], run
    return loops, item


def _plane(loops: list[_Loop], item: int) -> tuple[str, _Loop, _Loop, list[_Loop]]:
    """(mode, rows, columns, outer loops)."""
    if not loops:
        return "STRIDED", _Loop(1, 0, 0), _Loop(1, item, item), []
    *rest, columns = loops
    if columns.source == columns.destination == item:
        if not rest:
            return "RUNS", _Loop(1, 0, 0), columns, []
        # Short runs are all overhead unless the loop around them is long.
        rows = rest[-1] if rest[-1].size >= _MANY else max(rest, key=lambda loop: loop.size)
        return "RUNS", rows, columns, [loop for loop in rest if loop is not rows]
    if columns.destination == item:
        contiguous = [loop for loop in rest if loop.source == item]
        if contiguous:
            rows = contiguous[-1]
            return "TRANSPOSE", rows, columns, [loop for loop in rest if loop is not rows]
    rows = rest[-1] if rest else _Loop(1, 0, 0)
    return "STRIDED", rows, columns, rest[:-1]


def record(stream: Stream, source: TensorView, destination: TensorView) -> None:
    """Append a copy; nothing where both are the same memory. Raises like `compile_copy`."""
    if stream.device == "cuda":
        from .cuda import copying as on_gpu

        if not _in_place(source, destination):
            on_gpu.record(stream, source, destination)
        return
    copy = compile_copy(source.desc, destination.desc)
    if not copy.is_empty and not _in_place(source, destination):
        stream.launch_raw(copy.address, copy.arguments(source.ref, destination.ref))


def record_concat(
    stream: Stream, sources: Sequence[TensorView], destination: TensorView, axis: int
) -> None:
    """Append copies of `sources` side by side along `axis` (not negative).

    A source that already lies in its place is left alone. Raises ShapeError when the extents do
    not add up or a channel block is cut.
    """
    start = 0
    for source in sources:
        size = source.shape[axis]
        record(stream, source, destination.slice(axis, start, size))
        start += size
    if start != destination.shape[axis]:
        raise ShapeError(
            f"sources have {start} along axis {axis}, the destination "
            f"{format_shape(destination.shape)} has {destination.shape[axis]}"
        )


def permuted(view: TensorView, permutation: Sequence[int]) -> TensorView:
    """The same memory with axis i being axis permutation[i] of `view`.

    Raises ShapeError for a blocked tensor or when `permutation` is none.
    """
    if sorted(permutation) != list(range(view.desc.rank)):
        raise ShapeError(f"{list(permutation)} is no permutation of {view.desc.rank} axes")
    if view.desc.format is Format.CHANNELS_BLOCKED_16:
        raise ShapeError("blocked channels cannot be permuted in place; reformat first")
    shape, strides = view.shape, view.desc.element_strides
    desc = replace(
        view.desc,
        shape=tuple(shape[axis] for axis in permutation),
        strides=tuple(strides[axis] for axis in permutation),
        format=Format.LINEAR,
        value=None,
        min_shape=None,
        max_shape=None,
    )
    return TensorView(desc, view.slot, view.offset)


def run(source: Array, destination: Array, thread_count: int = 1) -> None:
    """Copy now, between arrays of any strides. Raises like `compile_copy`."""
    copy = compile_copy(desc_of(source), desc_of(destination))
    if not copy.is_empty:
        block = copy.arguments((0, 0), (1, 0))
        run_kernel(copy.address, block, [source, destination], thread_count)


def _in_place(source: TensorView, destination: TensorView) -> bool:
    return (
        source.same_memory(destination)
        and source.shape == destination.shape
        and source.desc.format is destination.desc.format
    )
