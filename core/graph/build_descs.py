"""Descriptions of tensors at the sizes and in the storage that a build tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...plugins import DataType, Format, Shape, TensorDesc

Concretise = Callable[[Shape], tuple[int, ...]]
"""A shape at the sizes that the build is for."""


@dataclass(frozen=True)
class Storage:
    """How a tensor lies in memory. `floats` is the type of what the network defines as float32
    and keeps without a scale; other types are never changed."""

    format: Format = Format.LINEAR
    floats: DataType = DataType.FLOAT32

    def type_of(self, desc: TensorDesc) -> DataType:
        """The element type of a tensor in this storage."""
        is_free = desc.dtype is DataType.FLOAT32 and desc.quantization is None
        return self.floats if is_free and not desc.is_constant else desc.dtype


def build_desc(desc: TensorDesc, storage: Storage, concretise: Concretise) -> TensorDesc:
    """`desc` at build sizes, in the storage's format where its shape can have it; constants stay
    as they are.

    Symbolic contents are dropped, constant ones kept.
    """
    shape = concretise(desc.shape)
    fits = storage.format.accepts(shape) and not desc.is_constant
    return replace(
        desc, dtype=storage.type_of(desc), shape=shape,
        format=storage.format if fits else Format.LINEAR,
        value=desc.value if desc.is_constant else None,
    )  # fmt: skip


def float_desc(desc: TensorDesc, layout: Format, concretise: Concretise) -> TensorDesc:
    """The same without a scale: what is asked about before 8-bit storage is decided."""
    return replace(build_desc(desc, Storage(layout), concretise), quantization=None)
