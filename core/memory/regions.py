"""Where layers read and write: parts of memory, and whether two of them share an element."""

from __future__ import annotations

from dataclasses import dataclass

from ...plugins import Format, TensorDesc


@dataclass(frozen=True)
class Region:
    """Bytes [start, end) of one buffer; with a `desc`, only those of its elements."""

    buffer: tuple[str, int]
    start: int
    end: int
    desc: TensorDesc | None = None
    """Of a tensor with gaps; None where every byte may be used."""

    @classmethod
    def of(cls, buffer: tuple[str, int], offset: int, desc: TensorDesc) -> Region:
        """The elements of a tensor."""
        return cls(buffer, offset, offset + desc.nbytes, None if desc.is_dense else desc)

    def overlaps(self, other: Region) -> bool:
        """Whether the two may have a byte in common; in doubt they do."""
        if self.buffer != other.buffer or self.end <= other.start or other.end <= self.start:
            return False
        if self.desc is None and other.desc is None:
            return True
        return not _are_interleaved(*sorted((self, other), key=lambda region: region.start))

    def covers(self, other: Region) -> bool:
        """Whether it has every byte of the other."""
        return (
            self.desc is None and self.buffer == other.buffer
            and self.start <= other.start and other.end <= self.end
        )  # fmt: skip


def _are_interleaved(first: Region, second: Region) -> bool:
    """Whether two parts of one tensor, such as ranges of channels, have no element in common.

    Both count their elements by the same strides, as digits of a number whose first digit has
    no limit. Where no digit overflows, the parts are boxes, apart in one digit at least or not.
    """
    if first.desc is None or second.desc is None:
        return False
    if first.desc.dtype.itemsize != second.desc.dtype.itemsize:
        return False
    if Format.CHANNELS_BLOCKED_16 in (first.desc.format, second.desc.format):
        return False
    mine, theirs = _extents(first.desc), _extents(second.desc)
    distance, rest = divmod(second.start - first.start, first.desc.dtype.itemsize)
    if rest:
        return False
    apart, above = False, 0
    for stride in sorted({1, *mine, *theirs}, reverse=True):
        if above % stride:
            return False
        start, distance = divmod(distance, stride)
        size, other = mine.get(stride, 1), theirs.get(stride, 1)
        if above and max(size, start + other) > above // stride:
            return False
        apart = apart or start >= size
        above = stride
    return apart


def _extents(desc: TensorDesc) -> dict[int, int]:
    """How many elements lie one stride apart, for every stride. Axes of one stride, as of sliding
    windows, count as one; those of stride 0 reach nothing further."""
    found: dict[int, int] = {}
    for stride, size in zip(desc.element_strides, desc.sizes, strict=True):
        if stride and size > 1:
            found[stride] = found.get(stride, 1) + size - 1
    return found
