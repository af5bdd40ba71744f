"""Descriptions of memory as oneDNN sees it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

from ...data_types import DataType
from ...errors import DeviceError
from ...tensor import BLOCK, Format, TensorDesc
from .._extension import ffi
from .constants import DATA_TYPES, Query, data_type_number
from .library import library

MAXIMUM_RANK = 12

_LETTERS = "abcdefghijkl"


class MemoryDesc:
    """Dims, element type and layout of a buffer; immutable and hashable.

    Made by `dense`, `strided`, `any_layout` or `of`, or reported by a primitive, then often in
    a layout that only oneDNN understands.
    """

    def __init__(self, handle: Any, key: Hashable, owner: object = None) -> None:
        self.handle = handle
        self.key = key
        self._owner = owner

    @classmethod
    def dense(cls, dims: Sequence[int], dtype: DataType, tag: str | None = None) -> MemoryDesc:
        """A gapless layout by format tag: letters in memory order, "acdb" for NHWC dims NCHW.

        `dims` are logical, 1 to 12 of them. Without `tag` row-major. Raises DeviceError for a
        tag or type oneDNN does not have.
        """
        if tag is None:
            tag = _LETTERS[: len(dims)]
        return cls._by_tag(dims, dtype, tag)

    @classmethod
    def any_layout(cls, dims: Sequence[int], dtype: DataType) -> MemoryDesc:
        """A layout left to the primitive, which then reports its choice."""
        return cls._by_tag(dims, dtype, "any")

    @classmethod
    def _by_tag(cls, dims: Sequence[int], dtype: DataType, tag: str) -> MemoryDesc:
        onednn = library()
        handle = ffi.new("onednn_memory_desc *")
        number = onednn.format_tag(tag)
        status = onednn.api.memory_desc_create_with_tag(
            handle, len(dims), _dims(dims), data_type_number(dtype), number
        )
        onednn.check(status, f"memory of {dtype.value}{list(dims)} as {tag!r}")
        return cls(_owned(handle[0]), (tuple(dims), dtype, tag))

    @classmethod
    def strided(cls, dims: Sequence[int], dtype: DataType, strides: Sequence[int]) -> MemoryDesc:
        """Any strides, in elements. Raises DeviceError for a type oneDNN does not have."""
        onednn = library()
        handle = ffi.new("onednn_memory_desc *")
        status = onednn.api.memory_desc_create_with_strides(
            handle, len(dims), _dims(dims), data_type_number(dtype), _dims(strides)
        )
        onednn.check(status, f"memory of {dtype.value}{list(dims)} with strides {list(strides)}")
        return cls(_owned(handle[0]), (tuple(dims), dtype, tuple(strides)))

    @classmethod
    def of(cls, desc: TensorDesc) -> MemoryDesc:
        """The same memory as `desc`, whose shape must be concrete; a scalar becomes one of [1].

        Raises DeviceError for a type or rank oneDNN does not have, or for a slice of a blocked
        tensor that is strided within its images.
        """
        dims = desc.sizes or (1,)
        if len(dims) > MAXIMUM_RANK:
            raise DeviceError(f"oneDNN takes up to {MAXIMUM_RANK} dimensions, not {len(dims)}")
        letters = _LETTERS[: len(dims)]
        if desc.format is Format.CHANNELS_BLOCKED_16:
            blocked = f"a{letters[1].upper()}{letters[2:]}{BLOCK}b"
            if desc.is_dense:
                return cls.dense(dims, desc.dtype, blocked)
            return cls._slice_of_blocked(desc, blocked)
        if desc.is_dense or not desc.shape:
            channels_last = desc.format is Format.CHANNELS_LAST
            return cls.dense(dims, desc.dtype, f"a{letters[2:]}b" if channels_last else letters)
        return cls.strided(dims, desc.dtype, desc.element_strides)

    @classmethod
    def _slice_of_blocked(cls, desc: TensorDesc, tag: str) -> MemoryDesc:
        # Strides cannot describe blocks, but a region of a dense tensor with more channels can.
        onednn = library()
        dims = list(desc.sizes)
        per_block = desc.element_strides[1]
        blocks = desc.element_strides[0] // per_block if dims[0] > 1 else dims[1] // BLOCK
        parent_dims = [dims[0], blocks * BLOCK, *dims[2:]]
        whole = TensorDesc(desc.dtype, tuple(parent_dims), desc.format)
        if any(
            size > 1 and mine != wanted
            for size, mine, wanted in zip(
                dims, desc.element_strides, whole.element_strides, strict=True
            )
        ):
            raise DeviceError(f"oneDNN cannot address {desc} with strides {desc.strides}")
        parent = cls.dense(parent_dims, desc.dtype, tag)
        handle = ffi.new("onednn_memory_desc *")
        status = onednn.api.memory_desc_create_submemory(
            handle, parent.handle, _dims(dims), _dims([0] * len(dims))
        )
        onednn.check(status, f"a slice {desc}")
        return cls(_owned(handle[0]), (tuple(dims), desc.dtype, tag, parent.key))

    @cached_property
    def nbytes(self) -> int:
        """Bytes of a buffer of this layout, padding included; 0 for `any_layout`."""
        return int(library().api.memory_desc_get_size(self.handle))

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """Logical dims."""
        api = library().api
        rank = ffi.new("int *")
        dims = ffi.new("int64_t **")
        api.memory_desc_query(self.handle, Query.RANK, rank)
        api.memory_desc_query(self.handle, Query.DIMS, dims)
        return tuple(int(dims[0][i]) for i in range(rank[0]))

    @cached_property
    def dtype(self) -> DataType:
        """Element type."""
        number = ffi.new("int *")
        library().api.memory_desc_query(self.handle, Query.DATA_TYPE, number)
        return next(dtype for dtype, known in DATA_TYPES.items() if known == number[0])

    def same_layout(self, other: MemoryDesc) -> bool:
        """True when a buffer of one is a buffer of the other, so that no reorder is needed."""
        return bool(library().api.memory_desc_equal(self.handle, other.handle))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MemoryDesc) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"MemoryDesc{self.key}"


def _dims(values: Sequence[int]) -> Any:
    # oneDNN reads whole dnnl_dims_t arrays in places, so give it one.
    return ffi.new(f"int64_t[{MAXIMUM_RANK}]", list(values))


def _owned(handle: Any) -> Any:
    return ffi.gc(handle, library().api.memory_desc_destroy)
