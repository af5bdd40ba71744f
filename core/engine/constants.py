"""Weights in a plan: raw little-endian bytes, aligned, each array once.

The table gives type and shape; positions follow from it, since every array begins at the
next multiple of 64 bytes.
"""

from __future__ import annotations

from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from ...plugins import ALIGNMENT, Array, DataType, PlanError
from ..runtime.buffers import allocate
from .dims_codec import MAXIMUM_RANK, MAXIMUM_SIZE
from .plain import choice, integer, items, refuse, row

SMALL = 16384
"""Constants of so many bytes, mostly biases, are read as they are at every call. They are copied:
in the mapped file each would keep up to two megabytes of packed weights beside it in memory."""

_TYPES = tuple(member.value for member in DataType)


class ConstantWriter:
    """Collects arrays; equal ones get one place."""

    def __init__(self) -> None:
        self.table: list[list[Any]] = []
        self.chunks: list[memoryview | bytes] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def add(self, array: Array) -> int:
        """The array's number in the table."""
        dtype = DataType.of(array.dtype)
        stored = np.ascontiguousarray(array, dtype.numpy).reshape(array.shape)
        content = stored.reshape(-1).view(np.uint8).data
        key = (dtype.value, stored.shape, sha256(content).digest())
        if key not in self._known:
            self._known[key] = len(self.table)
            self.table.append([dtype.value, list(stored.shape)])
            self.chunks += [content, bytes(-stored.nbytes % ALIGNMENT)]
        return self._known[key]


def read_constants(table: Any, section: memoryview, what: str) -> list[Array]:
    """The arrays, as read-only views of the section.

    Small ones are copied, and all where the section is not aligned in memory. Raises PlanError
    when the table and the section do not fit each other.
    """
    described = items(table, what, _entry)
    positions = []
    end = 0
    for dtype, shape in described:
        positions.append(end)
        nbytes = prod(shape) * dtype.itemsize
        end += nbytes + -nbytes % ALIGNMENT
    if end != section.nbytes:
        refuse(what, f"{end} bytes", f"{section.nbytes}, the size of the section")
    memory = _aligned(section)
    memory.flags.writeable = False
    return [
        _array(memory, start, dtype, shape, f"{what}[{index}]")
        for index, (start, (dtype, shape)) in enumerate(zip(positions, described, strict=True))
    ]


def _entry(value: Any, what: str) -> tuple[DataType, tuple[int, ...]]:
    name, shape = row(value, what, 2)
    dtype = DataType(choice(name, what, _TYPES))
    sizes = items(shape, what, lambda size, at: integer(size, at, 0, MAXIMUM_SIZE), MAXIMUM_RANK)
    if prod(max(size, 1) for size in sizes) > MAXIMUM_SIZE:
        refuse(what, shape, f"at most {MAXIMUM_SIZE} elements")
    return dtype, tuple(sizes)


def _aligned(section: memoryview) -> Array:
    if not section.nbytes:
        return allocate(0)
    memory = np.frombuffer(section, np.uint8)
    if memory.ctypes.data % ALIGNMENT == 0:
        return memory
    copy = allocate(section.nbytes)
    copy[...] = memory
    return copy


def _array(
    memory: Array, start: int, dtype: DataType, shape: tuple[int, ...], what: str
) -> Array:
    count = prod(shape)
    stored = memory[start : start + count * dtype.itemsize]
    if dtype is DataType.BOOL and stored.size and int(stored.max()) > 1:
        raise PlanError(f"{what}: a bool is neither 0 nor 1; build the plan again")
    if 0 < stored.nbytes <= SMALL:
        copy = allocate(stored.nbytes)
        copy[...] = stored
        copy.flags.writeable = False
        stored = copy
    return stored.view(dtype.numpy).reshape(shape)
