"""The container: sections under checksums that cover every byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from zlib import crc32

import pytest

from plugrt.core.engine import container
from plugrt.core.engine.container import FORMAT_VERSION, MAGIC, read_container, write_container
from plugrt.plugins import PlanError

SECTIONS = {"first": [b"one", b"two"], "empty": [], "last": [bytes(range(100))]}
FILE = write_container(SECTIONS)

HUGE = 2**64 - 1


def summed(block: bytes) -> bytes:
    return crc32(block).to_bytes(4, "little")


def refusal(data: bytes) -> str:
    with pytest.raises(PlanError) as caught:
        read_container(memoryview(data))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_sections_come_back_as_views_of_the_file() -> None:
    view = memoryview(FILE)
    found = read_container(view)
    assert list(found) == list(SECTIONS)
    assert {name: bytes(section) for name, section in found.items()} == {
        name: b"".join(chunks) for name, chunks in SECTIONS.items()
    }
    assert all(section.obj is view.obj for section in found.values())


def test_the_layout_is_the_documented_one() -> None:
    magic, version, count, size, zero = struct.unpack_from("<8sIIQQ", FILE)
    assert (magic, version, count, size, zero) == (MAGIC, FORMAT_VERSION, 3, len(FILE), 0)
    table = FILE[64 : 64 + 3 * 64]
    assert FILE[32:64] == sha256(summed(FILE[:32] + table)).digest()
    start = 64 + len(table)
    for index, (name, chunks) in enumerate(SECTIONS.items()):
        entry = table[64 * index : 64 * index + 64]
        stored, offset, length, digest = struct.unpack("<16sQQ32s", entry)
        content = b"".join(chunks)
        padded = content + bytes(-len(content) % 64)
        assert (stored.rstrip(b"\0").decode(), offset, length) == (name, start, len(content))
        assert FILE[offset : offset + len(padded)] == padded
        assert digest == sha256(summed(padded) if padded else b"").digest()
        start += len(padded)
    assert start == len(FILE)


def test_large_sections_are_digested_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "BLOCK_BYTES", 100)
    chunks = [b"a" * 70, b"b" * 250]
    data = write_container({"only": chunks})
    (digest,) = struct.unpack_from("<32s", data, 64 + 32)
    joined = b"".join(chunks)
    blocks = [joined[start : start + 100] for start in range(0, 320, 100)]
    assert digest == sha256(b"".join(map(summed, blocks))).digest()
    assert bytes(read_container(memoryview(data))["only"]) == joined
    for position in (128, 230, 447):
        damaged = bytearray(data)
        damaged[position] ^= 1
        assert "checksum" in refusal(bytes(damaged))


def test_every_flipped_bit_is_noticed() -> None:
    for position in range(len(FILE)):
        for bit in range(8):
            damaged = bytearray(FILE)
            damaged[position] ^= 1 << bit
            refusal(bytes(damaged))


def test_every_truncation_is_noticed() -> None:
    for length in range(len(FILE)):
        refusal(FILE[:length])


@pytest.mark.parametrize("more", [1, 63, 64, 4096])
def test_appended_bytes_are_noticed(more: int) -> None:
    assert "extended" in refusal(FILE + bytes(more))


@pytest.mark.parametrize("data", [b"", b"[net]\nwidth=416\n" * 20, bytes(1000)])
def test_other_files_are_told_apart(data: bytes) -> None:
    assert "truncated" in refusal(data) or "not a plan" in refusal(data)


def test_a_newer_format_names_both_versions(kit: Any) -> None:
    newer = bytearray(FILE)
    struct.pack_into("<I", newer, 8, FORMAT_VERSION + 1)
    text = refusal(kit.sign(newer))
    assert f"format {FORMAT_VERSION + 1}" in text
    assert "install a newer plugrt" in text


def put(code: str, offset: int, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(code, data, offset, value)


def swap(data: bytearray) -> None:
    data[64:128], data[128:192] = data[128:192], data[64:128]


def repeat_name(data: bytearray) -> None:
    data[128:144] = data[64:80]


def fill_padding(data: bytearray) -> None:
    data[struct.unpack_from("<Q", data, 80)[0] + 6] = 1


HOSTILE = {
    "no section": put("<I", 12, 0),
    "one section less": put("<I", 12, 2),
    "one section more": put("<I", 12, 4),
    "sections beyond the file": put("<I", 12, 60),
    "most sections": put("<I", 12, 2**32 - 1),
    "format 0": put("<I", 8, 0),
    "size 0": put("<Q", 16, 0),
    "greatest size": put("<Q", 16, HUGE),
    "reserved bytes used": put("<Q", 24, 1),
    "offset 0": put("<Q", 80, 0),
    "offset one too far": put("<Q", 80, 257),
    "greatest offset": put("<Q", 80, HUGE),
    "length beyond the file": put("<Q", 88, len(FILE)),
    "greatest length": put("<Q", 88, HUGE),
    "length that wraps": put("<Q", 88, HUGE - 63),
    "last section shorter": put("<Q", 64 + 2 * 64 + 24, 10),
    "sections in another order": swap,
    "a name twice": repeat_name,
    "a name that is no word": put("<B", 65, 10),
    "padding that is not zero": fill_padding,
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_fields_with_right_checksums_are_refused(
    change: Callable[[bytearray], None], kit: Any
) -> None:
    data = bytearray(FILE)
    change(data)
    refusal(kit.sign(data))
