"""A file of packed weights: a JSON table, then the arrays, each aligned, under CRC-32 sums.

The header of 32 bytes is magic, the table's length, its CRC-32 and the offset of the arrays. The
file holds numbers only, and everything that the table says is checked against its size.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from ...plugins import ALIGNMENT, Array, DataType
from ..devices.cpu.checksum import checksums
from .cache_folder import open_own, write_own

MAGIC = b"PLRTPKW1"
_HEADER = struct.Struct("<8sQIIQ")


@dataclass(frozen=True)
class Entry:
    """Where an array lies, and what it is."""

    start: int
    nbytes: int
    checksum: int
    dtype: DataType
    shape: tuple[int, ...]


class PackedFile:
    """A mapped file. `verify` before using its arrays."""

    def __init__(self, memory: Array, table: Mapping[str, Any]) -> None:
        self._memory = memory
        self.is_validated = table["validated"] is True
        """Whether the plan's tactics were found to be what its plug-ins offer."""
        self.entries = {key: _entry(row, memory.nbytes) for key, row in table["entries"].items()}

    @classmethod
    def open(cls, path: Path) -> PackedFile | None:
        """The file at `path`; None where there is none, or none that could be whole."""
        handle = open_own(path)
        if handle is None:
            return None
        try:
            memory = np.frombuffer(mmap.mmap(handle, 0, access=mmap.ACCESS_READ), np.uint8)
            magic, length, checksum, zero, start = _HEADER.unpack(memory[: _HEADER.size].tobytes())
            text = memory[_HEADER.size : _HEADER.size + length].tobytes()
            if (magic, zero, checksum, start) != (MAGIC, 0, crc32(text), _start_of(length)):
                return None
            return cls(memory[start:], json.loads(text))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
            return None
        finally:
            os.close(handle)

    def verify(self) -> bool:
        """Whether all arrays are as they were written. Reads them into memory."""
        entries = list(self.entries.values())
        found = checksums(
            self._memory,
            np.array([entry.start for entry in entries], np.uint64),
            np.array([entry.nbytes for entry in entries], np.uint64),
        )
        return bool(found.tolist() == [entry.checksum for entry in entries])

    def array(self, key: str) -> Array | None:
        """A read-only view of one array."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        stored = self._memory[entry.start : entry.start + entry.nbytes]
        return stored.view(entry.dtype.numpy).reshape(entry.shape)


def write_packed_file(path: Path, arrays: Mapping[str, Array], validated: bool) -> bool:
    """Write a file, complete or not at all; False where the disk does not allow it."""
    contents = {key: _bytes_of(array) for key, array in arrays.items()}
    entries: dict[str, list[object]] = {}
    position = 0
    for key, array in arrays.items():
        content = contents[key]
        whole = np.array([content.nbytes], np.uint64)
        (checksum,) = checksums(content, np.zeros(1, np.uint64), whole).tolist()
        entries[key] = [
            position, content.nbytes, checksum, DataType.of(array.dtype).value, list(array.shape)
        ]
        position += _aligned(content.nbytes)
    text, start = _table(entries, validated)
    header = _HEADER.pack(MAGIC, len(text), crc32(text), 0, start)

    def chunks() -> Iterator[bytes | memoryview]:
        yield header + text
        yield bytes(start - len(header) - len(text))
        for content in contents.values():
            yield content.data
            yield bytes(-content.nbytes % ALIGNMENT)

    return write_own(path, chunks(), start + position)


def _table(entries: Mapping[str, list[object]], validated: bool) -> tuple[bytes, int]:
    """The table's text and where the arrays begin. Positions count from there."""
    text = json.dumps({"validated": validated, "entries": entries}).encode()
    return text, _start_of(len(text))


def _start_of(length: int) -> int:
    return -(-(_HEADER.size + length) // mmap.PAGESIZE) * mmap.PAGESIZE


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _bytes_of(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _entry(row: Any, room: int) -> Entry:
    """An entry of the table. Raises ValueError or TypeError for one that cannot be."""
    start, nbytes, checksum, name, shape = row
    dtype = DataType(name)
    numbers = (start, nbytes, checksum, *shape)
    fits = all(type(number) is int and number >= 0 for number in numbers)
    if not fits or start % ALIGNMENT or start + nbytes > room:
        raise ValueError("an array leaves the file")
    if prod(shape) * dtype.numpy.itemsize != nbytes:
        raise ValueError("an array has another size")
    return Entry(start, nbytes, checksum, dtype, tuple(shape))
