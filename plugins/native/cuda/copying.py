"""Copies between any strides and formats on a GPU, and conversions of type on the way.

The counterpart of `plugrt.plugins.native.copying`, whose `record` calls this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path

from ...data_types import DataType
from ...errors import DeviceError, ShapeError
from ...expression import Input
from ...stream import Argument, Stream
from ...tensor import TensorDesc, TensorView
from ..geometry import Operand, loops_over
from . import pointwise
from .expression_source import STORED_TYPES
from .headers import DEPENDENCY, device_headers, divisors
from .kernel import CudaKernel, CudaSource
from .pointwise import ACCESS_BYTES, THREADS, argument

_FOLDER = Path(__file__).resolve().parent

WORDS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "uint2", 16: "uint4"}
"""Types that hold so many bytes."""

CONVERTED = frozenset({DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16})
"""Types between which tiles convert."""

LEAST_SIDE = 8
"""Below so many rows or columns a tile is mostly empty."""

_MOST_BLOCKS = 2**31


@dataclass(frozen=True)
class CopyPass:
    """A copy between two fixed descriptions: a launch without its tensors."""

    kernel: CudaKernel
    blocks: int
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class _Loop:
    """A size, and strides in bytes."""

    size: int
    source: int
    destination: int


def record(stream: Stream, source: TensorView, destination: TensorView) -> None:
    """Append a copy of `source`, which may broadcast, between tensors of one element type.

    Raises ShapeError when types differ or shapes do not fit.
    """
    if source.dtype is not destination.dtype:
        raise ShapeError(
            f"a copy cannot turn {source.dtype.value} into {destination.dtype.value}; "
            "use record_conversion"
        )
    _record(stream, source, destination)


def record_conversion(stream: Stream, source: TensorView, destination: TensorView) -> None:
    """Append a copy that also changes the element type, as a Cast does. Raises like
    `pointwise.record`."""
    types = {source.dtype, destination.dtype}
    if types <= CONVERTED and _exchanges(source.desc, destination.desc):
        _record(stream, source, destination)
    else:
        pointwise.record(stream, Input(0), [source], destination)


def _record(stream: Stream, source: TensorView, destination: TensorView) -> None:
    if 0 in destination.shape:
        return
    copy = compile_copy(
        replace(source.desc, value=None), replace(destination.desc, value=None),
        source.offset % ACCESS_BYTES, destination.offset % ACCESS_BYTES,
    )  # fmt: skip
    stream.launch_grid(
        copy.kernel, (copy.blocks, 1, 1), (THREADS, 1, 1), source, destination, *copy.arguments
    )


@lru_cache(maxsize=4096)
def compile_copy(
    source: TensorDesc, destination: TensorDesc, source_begin: int = 0, destination_begin: int = 0
) -> CopyPass:
    """The copy between tensors that begin so many bytes behind a multiple of ACCESS_BYTES.
    Raises ShapeError when shapes do not fit, DeviceError for too many elements."""
    begins = (source_begin, destination_begin)
    loops = _loops(source, destination)
    tiled = _tile_loops(loops, source.dtype.itemsize, destination.dtype.itemsize)
    if tiled is not None:
        return _tile_copy(source.dtype, destination.dtype, *tiled, begins)
    if source.dtype is not destination.dtype:
        raise ShapeError(f"{source} and {destination} have no tiles; use record_conversion")
    return _strided_copy(loops, destination.dtype.itemsize, begins)


def _loops(source: TensorDesc, destination: TensorDesc) -> list[_Loop]:
    walked = loops_over(destination, [Operand(source)])
    rows = zip(walked.sizes, *walked.strides, strict=True)
    return [_Loop(size, mine, theirs) for size, mine, theirs in rows]


def _exchanges(source: TensorDesc, destination: TensorDesc) -> bool:
    items = (source.dtype.itemsize, destination.dtype.itemsize)
    return 0 not in destination.sizes and _tile_loops(
        _loops(source, destination), *items
    ) is not None


def _tile_loops(
    loops: Sequence[_Loop], source_item: int, destination_item: int
) -> tuple[_Loop, _Loop, list[_Loop]] | None:
    """(rows, columns, other loops) where the fastest dimensions differ, else None."""
    if not loops or loops[-1].destination != destination_item or loops[-1].source == source_item:
        return None
    *rest, columns = loops
    rows = next((loop for loop in reversed(rest) if loop.source == source_item), None)
    if rows is None or min(rows.size, columns.size) < LEAST_SIDE or destination_item > 8:
        return None
    return rows, columns, [loop for loop in rest if loop is not rows]


def _tile_copy(
    source: DataType, destination: DataType, rows: _Loop, columns: _Loop, rest: list[_Loop],
    begins: tuple[int, int],
) -> CopyPass:
    items = (source.itemsize, destination.itemsize)
    side = 32 if items[1] > 4 else 64
    strides = [[columns.source, *(o.source for o in rest)],
               [rows.destination, *(o.destination for o in rest)]]  # fmt: skip
    packs = [
        _pack(size, item, begin, others)
        for size, item, begin, others in zip(
            (rows.size, columns.size), items, begins, strides, strict=True
        )
    ]
    outer = rest or [_Loop(1, 0, 0)]
    if source is destination:
        names = (WORDS[items[0]],) * 2
    else:
        names = (STORED_TYPES[source], STORED_TYPES[destination])
    kernel = _kernel(
        "tile_copy.cu", f"tile_copy<{names[0]}, {names[1]}, {packs[0]}, {packs[1]}, {len(outer)}>",
        f"TTIIqq{len(outer)}q{len(outer)}q{len(outer)}q",
    )  # fmt: skip
    blocks = -(-rows.size // side) * -(-columns.size // side) * prod(o.size for o in outer)
    arguments = (
        rows.size, columns.size, columns.source // items[0], rows.destination // items[1],
        argument([o.size for o in outer]), argument([o.source // items[0] for o in outer]),
        argument([o.destination // items[1] for o in outer]),
    )  # fmt: skip
    return CopyPass(kernel, _checked(blocks), arguments)


def _pack(size: int, item: int, begin: int, strides: Sequence[int]) -> int:
    """Elements of a run of `size` that can be moved at once."""
    count = ACCESS_BYTES // item
    while count > 1 and (
        size % count
        or begin % (count * item)
        or any(stride % (count * item) for stride in strides)
    ):
        count //= 2
    return count


def _strided_copy(loops: Sequence[_Loop], item: int, begins: tuple[int, int]) -> CopyPass:
    walked = list(loops) or [_Loop(1, item, item)]
    word = item
    last = walked[-1]
    if last.source == last.destination == item:
        strides = [s for loop in walked[:-1] for s in (loop.source, loop.destination)]
        word = item * _pack(last.size, item, begins[0] | begins[1], strides)
        walked[-1] = _Loop(last.size * item // word, word, word)
    count = prod(loop.size for loop in walked)
    kernel = _kernel(
        "strided_copy.cu", f"strided_copy<{WORDS[word]}, {len(walked)}>",
        f"TTI{len(walked) * 3}I{len(walked)}q{len(walked)}q",
    )  # fmt: skip
    arguments = (
        count, divisors([loop.size for loop in walked]),
        argument([loop.source for loop in walked]),
        argument([loop.destination for loop in walked]),
    )  # fmt: skip
    return CopyPass(kernel, _checked(-(-count // THREADS)), arguments)


def _checked(blocks: int) -> int:
    if blocks >= _MOST_BLOCKS // THREADS * 2:
        raise DeviceError(f"{blocks} blocks are too many for one copy; split the tensor")
    return blocks


@lru_cache(maxsize=1024)
def _kernel(file: str, function: str, layout: str) -> CudaKernel:
    text = (_FOLDER / file).read_text(encoding="utf-8")
    source = CudaSource(text, file, device_headers())
    return CudaKernel(source, function, layout, overlaps=DEPENDENCY in text)
