"""The outer form of a plan: named, aligned sections under checksums that cover every byte.

All integers are little-endian. A header of 64 bytes (magic, format version, number of
sections, file size, eight zero bytes, digest) is followed by one entry of 64 bytes per
section (name, offset, length, digest), and by the sections. The header's digest covers the
rest of the header and the table; a section's digest covers its bytes and the zero bytes up
to the next section. A digest is the SHA-256 of the CRC-32 sums of blocks: it is to find damage,
and without a key nothing more could be found. The format is described in docs/engine-format.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from mmap import mmap
from zlib import crc32

import numpy as np

from ...plugins import ALIGNMENT, PlanError
from ..devices.cpu.checksum import HAS_CHECKSUMS, checksums
from .late_checks import LateChecks

MAGIC = b"\x89PLRT\r\n\x1a"
"""Not text, and changed by every transfer that takes it for text."""

FORMAT_VERSION = 1
"""Raised when a reader of the former version would misread the file."""

MAXIMUM_SECTIONS = 64

BLOCK_BYTES = 1 << 20
"""Bytes that are summed as one piece."""

LARGE_BYTES = 4 << 20
"""Sections of so many bytes are worth a thread of their own, and code without an interpreter."""

_HEADER = struct.Struct("<8sIIQQ32s")
_DIGEST_SIZE = 32
_SIGNED = _HEADER.size - _DIGEST_SIZE
_ENTRY = struct.Struct("<16sQQ32s")

Chunks = Iterable["bytes | memoryview"]


@dataclass(frozen=True)
class _Entry:
    name: str
    offset: int
    length: int
    digest: bytes


def write_container(sections: Mapping[str, Chunks]) -> bytes:
    """The file's bytes. A section is given as chunks of bytes, which are joined only once."""
    position = _HEADER.size + _ENTRY.size * len(sections)
    body: list[bytes | memoryview] = []
    entries = []
    for name, chunks in sections.items():
        content = [chunk for chunk in chunks if len(chunk)]
        length = sum(map(len, content))
        padding = bytes(-length % ALIGNMENT)
        entries.append(
            _ENTRY.pack(name.encode("ascii"), position, length, _digest([*content, padding]))
        )
        body += [*content, padding]
        position += length + len(padding)
    table = b"".join(entries)
    signed = _HEADER.pack(MAGIC, FORMAT_VERSION, len(entries), position, 0, b"")[:_SIGNED]
    return b"".join([signed, _digest([signed, table]), table, *body])


def read_container(
    data: memoryview, checks: LateChecks | None = None
) -> dict[str, memoryview]:
    """The sections by name, as views of `data`, every checksum verified. With `checks` those of
    large sections are, when these have been waited for.

    Raises PlanError for anything that `write_container` would not have written.
    """
    count, size = _read_header(data)
    body = _HEADER.size + _ENTRY.size * count
    if body > size:
        raise PlanError(
            f"the plan's table of {count} sections does not fit its {size} bytes; it is "
            "damaged: copy or build it again"
        )
    digest = bytes(data[_SIGNED : _HEADER.size])
    if _digest([data[:_SIGNED], data[_HEADER.size : body]]) != digest:
        raise PlanError("the plan's header is damaged (checksum); copy or build it again")
    return _read_sections(data, _entries(data[_HEADER.size : body]), body, checks)


def content_digest(data: memoryview) -> str:
    """The header's digest, which tells a verified container from every other."""
    return bytes(data[_SIGNED : _HEADER.size]).hex()


def _read_header(data: memoryview) -> tuple[int, int]:
    """(number of sections, file size), as far as they can be checked without the table."""
    if data.nbytes < _HEADER.size:
        raise PlanError(
            f"the plan has {data.nbytes} bytes, fewer than its header of {_HEADER.size}; it is "
            "truncated: copy or build it again"
        )
    magic, version, count, size, zero, _ = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise PlanError("the file is not a plan (wrong first bytes); give one made by plugrt build")
    if version > FORMAT_VERSION:
        raise PlanError(
            f"the plan has format {version}, newer than {FORMAT_VERSION}, the newest that this "
            "plugrt reads; install a newer plugrt, or build the plan with this one"
        )
    if version < 1:
        raise PlanError(f"the plan has format {version}, which never was; build it again")
    if size != data.nbytes:
        raise PlanError(
            f"the plan has {data.nbytes} bytes and should have {size}; it is truncated or "
            "extended: copy or build it again"
        )
    if not 1 <= count <= MAXIMUM_SECTIONS or zero:
        raise PlanError(f"the plan's header is damaged ({count} sections); copy or build it again")
    return count, size


def _entries(table: memoryview) -> list[_Entry]:
    entries = []
    for name, offset, length, digest in _ENTRY.iter_unpack(table):
        text = name.rstrip(b"\0")
        if not text.isalnum():
            raise PlanError(f"the plan has a section named {text!r}; build it again")
        entries.append(_Entry(text.decode("ascii"), offset, length, digest))
    return entries


def _read_sections(
    data: memoryview, entries: Sequence[_Entry], start: int, checks: LateChecks | None
) -> dict[str, memoryview]:
    sections: dict[str, memoryview] = {}
    for entry in entries:
        padded = -(-entry.length // ALIGNMENT) * ALIGNMENT
        end = start + padded
        if entry.offset != start or end > data.nbytes or entry.name in sections:
            raise PlanError(
                f"the plan's section {entry.name!r} ({entry.length} bytes at {entry.offset}) "
                "overlaps another or leaves the file; build it again"
            )
        check = partial(_check_digest, entry, data[start:end])
        if checks is None or end - start < LARGE_BYTES:
            check()
        else:
            checks.add(check)
        if any(data[start + entry.length : end]):
            raise PlanError(f"padding behind section {entry.name!r} is not zero; build it again")
        sections[entry.name] = data[start : start + entry.length]
        start = end
    if start != data.nbytes:
        raise PlanError(f"{data.nbytes - start} bytes follow the plan's sections; build it again")
    return sections


def _check_digest(entry: _Entry, content: memoryview) -> None:
    if content.nbytes < LARGE_BYTES or not HAS_CHECKSUMS:
        found = _digest([content])
    else:
        memory = np.frombuffer(content, np.uint8)
        starts = np.arange(0, memory.nbytes, BLOCK_BYTES, dtype=np.uint64)
        lengths = np.minimum(memory.nbytes - starts, BLOCK_BYTES)
        release = isinstance(content.obj, mmap)  # it has been read for this alone
        found = _digest_of(checksums(memory, starts, lengths, release=release).tolist())
    if found != entry.digest:
        raise PlanError(
            f"the plan's section {entry.name!r} is damaged (checksum); copy or build it again"
        )


def _digest(chunks: Chunks) -> bytes:
    """The digest of the sums of blocks, so that large sections are checked by all cores."""
    blocks = list(_blocks(chunks))
    if len(blocks) < 2:
        sums = [_block_sum(block) for block in blocks]
    else:
        with ThreadPoolExecutor(min(len(blocks), len(os.sched_getaffinity(0)))) as pool:
            sums = list(pool.map(_block_sum, blocks))
    return _digest_of(sums)


def _digest_of(sums: Sequence[int]) -> bytes:
    return sha256(struct.pack(f"<{len(sums)}I", *sums)).digest()


def _blocks(chunks: Chunks) -> Iterator[list[bytes | memoryview]]:
    """The bytes of `chunks` in blocks of BLOCK_BYTES, the last one shorter."""
    block: list[bytes | memoryview] = []
    room = BLOCK_BYTES
    for chunk in chunks:
        rest = memoryview(chunk)
        while len(rest):
            block.append(rest[:room])
            room -= len(block[-1])
            rest = rest[len(block[-1]) :]
            if not room:
                yield block
                block, room = [], BLOCK_BYTES
    if block:
        yield block


def _block_sum(block: Sequence[bytes | memoryview]) -> int:
    found = 0
    for piece in block:
        found = crc32(piece, found)
    return found
