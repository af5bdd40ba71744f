"""Darknet's weights files: a header, then float32 values layer by layer.

The header holds three 32-bit integers (major, minor, revision) and the number of pictures
seen in training: 64 bits from version 0.2 on, 32 bits before. Bytes are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plugrt.plugins import Array, ModelError

from .sections import Blob, DarknetLayer
from .weights_damage import describe_damage, describe_text, implausible

VERSION = struct.Struct("<iii")
HIGHEST_VERSION = 10_000
TRANSPOSED_ABOVE = 1000
VALUE = np.dtype("<f4")


@dataclass(frozen=True)
class WeightsHeader:
    """The header of a weights file. `transposed`: matrices lie with the inputs first."""

    major: int
    minor: int
    revision: int
    seen: int

    @property
    def has_long_count(self) -> bool:
        """Whether `seen` takes 64 bits."""
        early = self.major * 10 + self.minor < 2
        return not early and not self.transposed

    @property
    def transposed(self) -> bool:
        """Whether matrices lie with the inputs first."""
        return self.major > TRANSPOSED_ABOVE or self.minor > TRANSPOSED_ABOVE

    @property
    def size(self) -> int:
        """Bytes before the first value."""
        return VERSION.size + (8 if self.has_long_count else 4)

    def pack(self) -> bytes:
        """The header's bytes."""
        version = VERSION.pack(self.major, self.minor, self.revision)
        return version + struct.pack("<Q" if self.has_long_count else "<I", self.seen)


OLD_HEADER = WeightsHeader(0, 1, 0, 0)
NEW_HEADER = WeightsHeader(0, 2, 0, 0)


class WeightsFile:
    """A weights file that fits a list of layers exactly, or with `cut` at least.

    The constructor raises ModelError naming the file, the offset, the layer and the bytes
    that are missing or left over.
    """

    def __init__(self, path: Path, layers: Sequence[DarknetLayer], *, cut: bool = False) -> None:
        self.path = path
        try:
            # Mapped: a file of the wrong size is refused before it is read.
            self._bytes: Array = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "the file is empty"
            raise ModelError(f"{path}: cannot be read ({reason})") from None
        self.header = self._read_header()
        self.unread = 0
        end = self.header.size
        for layer, blob, start in self._places(layers):
            end = start + blob.count * VALUE.itemsize
            if end > len(self._bytes):
                raise self._truncated(layer, blob, start, end)
        self.unread = len(self._bytes) - end
        if self.unread and not cut:
            raise self._over_long(end, layers)
        self._layers = layers

    def values(self) -> Iterator[tuple[DarknetLayer, dict[str, Array]]]:
        """Every layer that has any with its arrays by blob name, in the order of the file.

        Raises ModelError for values that no training leaves behind.
        """
        found: dict[int, dict[str, Array]] = {}
        for layer, blob, start in self._places(self._layers):
            end = start + blob.count * VALUE.itemsize
            array = self._bytes[start:end].tobytes()
            values = np.frombuffer(array, VALUE)
            self._check(layer, blob, start, values)
            found.setdefault(layer.index, {})[blob.name] = blob.from_file(
                values, matrices_transposed=self.header.transposed
            )
        for layer in self._layers:
            yield layer, found.get(layer.index, {})

    def _read_header(self) -> WeightsHeader:
        data = self._bytes[:20].tobytes()
        text = describe_text(self._bytes)
        if text:
            raise ModelError(f"{self.path}: {text}")
        if len(data) < VERSION.size + 4:
            raise ModelError(
                f"{self.path}: byte offset {len(data)}: the file ends within its header "
                f"(at least {VERSION.size + 4} bytes); get it again"
            )
        major, minor, revision = VERSION.unpack_from(data)
        if not all(0 <= number <= HIGHEST_VERSION for number in (major, minor, revision)):
            raise ModelError(
                f"{self.path}: byte offset 0: version {major}.{minor}.{revision} is none of "
                "Darknet's; this is not a weights file, or a copy in text mode has changed its "
                "bytes: get it again in binary mode"
            )
        header = WeightsHeader(major, minor, revision, 0)
        if len(data) < header.size:
            raise ModelError(
                f"{self.path}: byte offset {len(data)}: the file ends within its header "
                f"({header.size} bytes); get it again"
            )
        form = "<Q" if header.has_long_count else "<I"
        (seen,) = struct.unpack_from(form, data, VERSION.size)
        return WeightsHeader(major, minor, revision, seen)

    def _places(self, layers: Sequence[DarknetLayer]) -> Iterator[tuple[DarknetLayer, Blob, int]]:
        start = self.header.size
        for layer in layers:
            for blob in layer.blobs():
                yield layer, blob, start
                start += blob.count * VALUE.itemsize

    def _truncated(self, layer: DarknetLayer, blob: Blob, start: int, end: int) -> ModelError:
        size = len(self._bytes)
        damage = describe_damage(self._bytes)
        cut = f", or cut the network with --cutoff {layer.index}" if layer.index else ""
        advice = damage or (
            f"get it again, or take the weights that belong to {layer.section.path.name}{cut}"
        )
        return ModelError(
            f"{self.path}: byte offset {size}: the file ends within the {blob.name} of layer "
            f"{layer.name} ({layer.section.path.name}:{layer.section.line}), which take bytes "
            f"{start} to {end}: {end - size} bytes are missing; {advice}"
        )

    def _over_long(self, end: int, layers: Sequence[DarknetLayer]) -> ModelError:
        last = next((x for x in reversed(layers) if x.blobs()), None)
        behind = f"layer {last.name}, the last one with weights" if last else "the header"
        damage = describe_damage(self._bytes)
        advice = damage or (
            "the weights belong to another network, or something was appended: give the cfg "
            "they belong to, or get them again"
        )
        return ModelError(
            f"{self.path}: byte offset {end}: {self.unread} bytes are left over behind "
            f"{behind}; {advice}"
        )

    def _check(self, layer: DarknetLayer, blob: Blob, start: int, values: Array) -> None:
        found = implausible(blob.kind, values)
        if found is None:
            return
        place, reason = found
        damage = describe_damage(self._bytes)
        advice = damage or (
            "the file is damaged (a copy in text mode changes bytes: get it again in binary "
            "mode), or belongs to another network"
        )
        raise ModelError(
            f"{self.path}: byte offset {start + place * VALUE.itemsize}: the {blob.name} of "
            f"layer {layer.name} hold {values[place]:g}, {reason}; {advice}"
        )
