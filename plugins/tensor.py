"""Descriptions of tensors, and the views of them that layers get at `enqueue`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from .data_types import DataType
from .dims import DimLike, Shape, evaluate_shape, format_shape, is_static
from .errors import ShapeError

ALIGNMENT = 64
"""Bytes to which every tensor in an arena is aligned (a cache line and an AVX-512 register)."""

BLOCK = 16
"""Channels in one block of Format.CHANNELS_BLOCKED_16."""

Array = npt.NDArray[Any]


class Format(Enum):
    """The order of a tensor's elements in memory. Shapes are always logical (N, C, ...)."""

    LINEAR = "linear"
    """Row-major, the last dimension fastest; any rank."""

    CHANNELS_LAST = "channels_last"
    """N, spatial..., C in memory; rank 3 to 5."""

    CHANNELS_BLOCKED_16 = "channels_blocked_16"
    """N, C/16, spatial..., 16 in memory; rank 3 to 5, C a multiple of 16."""

    def accepts(self, shape: Sequence[DimLike]) -> bool:
        """True when a tensor of this shape can have this format."""
        if self is Format.LINEAR:
            return True
        if not 3 <= len(shape) <= 5:
            return False
        channels = shape[1]
        return self is Format.CHANNELS_LAST or (
            isinstance(channels, int) and channels > 0 and channels % BLOCK == 0
        )

    def strides(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Dense strides in elements, one per logical dimension.

        In blocked formats the channel stride is that between neighbouring *blocks*.
        """
        rank = len(shape)
        order = list(range(rank))
        sizes = list(shape)
        step = 1
        if self is Format.CHANNELS_LAST:
            order = [0, *range(2, rank), 1]
        elif self is Format.CHANNELS_BLOCKED_16:
            sizes[1] //= BLOCK
            step = BLOCK
        strides = [0] * rank
        for axis in reversed(order):
            strides[axis] = step
            step *= max(sizes[axis], 1)
        return tuple(strides)


@dataclass(frozen=True)
class Quantization:
    """real = (stored - zero_point) * scale, per tensor, or per index of `axis`."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None

    def __post_init__(self) -> None:
        if not self.scale or any(not np.isfinite(s) or s <= 0 for s in self.scale):
            raise ShapeError(f"quantisation scale {self.scale} must be finite and above zero")
        if self.axis is None and (len(self.scale) > 1 or len(self.zero_point) > 1):
            raise ShapeError("several scales or zero points need the axis they belong to")
        if len(self.zero_point) not in (1, len(self.scale)):
            raise ShapeError(
                f"{len(self.zero_point)} zero points do not fit {len(self.scale)} scales; "
                "give one, or as many as scales"
            )

    @classmethod
    def of(
        cls, scale: npt.ArrayLike, zero_point: npt.ArrayLike = 0, axis: int | None = None
    ) -> Quantization:
        """Build from scalars, sequences or arrays."""
        scales = np.atleast_1d(np.asarray(scale, dtype=np.float64))
        zeros = np.atleast_1d(np.asarray(zero_point, dtype=np.int64))
        return cls(tuple(map(float, scales)), tuple(map(int, zeros)), axis)


@dataclass(frozen=True)
class TensorDesc:
    """What is known of a tensor: during definition, at `configure`, and in a recording.

    `shape` holds ints or symbolic dims during definition. At `configure` it is the
    profile's optimum, with `min_shape` and `max_shape` beside it. `strides` are in
    elements; None means dense in `format`. `value` holds constant contents, or symbolic
    ones as an object array of dims, and takes no part in comparisons.
    """

    dtype: DataType
    shape: Shape
    format: Format = Format.LINEAR
    strides: tuple[int, ...] | None = None
    alignment: int = ALIGNMENT
    quantization: Quantization | None = None
    min_shape: tuple[int, ...] | None = None
    max_shape: tuple[int, ...] | None = None
    value: Array | None = field(default=None, compare=False, repr=False)

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def is_constant(self) -> bool:
        """True when the contents are known numbers."""
        return self.value is not None and self.value.dtype != object

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape as ints. Raises ShapeError while it is symbolic."""
        if not [dim for dim in self.shape if type(dim) is not int]:  # asked for very often
            return tuple(self.shape)  # type: ignore[arg-type]
        if not is_static(self.shape):
            raise ShapeError(f"shape {format_shape(self.shape)} is still symbolic here")
        return tuple(int(dim) for dim in self.shape)  # type: ignore[arg-type]

    @property
    def element_strides(self) -> tuple[int, ...]:
        """The strides in elements, dense ones computed. Needs a concrete shape."""
        return self.strides if self.strides is not None else self.format.strides(self.sizes)

    @property
    def is_dense(self) -> bool:
        """True when the elements fill one gapless range in the order of `format`."""
        if self.strides is None:
            return True
        dense = self.format.strides(self.sizes)
        return all(
            size == 1 or mine == wanted
            for size, mine, wanted in zip(self.sizes, self.strides, dense, strict=True)
        )

    @property
    def nbytes(self) -> int:
        """Bytes from the first element to behind the last, gaps included."""
        sizes = list(self.sizes)
        if 0 in sizes:
            return 0
        last = 1
        if self.format is Format.CHANNELS_BLOCKED_16:
            sizes[1] //= BLOCK
            last = BLOCK
        reach = sum((n - 1) * s for n, s in zip(sizes, self.element_strides, strict=True))
        return (reach + last) * self.dtype.itemsize

    def at(self, sizes: Mapping[str, int]) -> TensorDesc:
        """This description with symbols replaced by numbers."""
        return replace(self, shape=evaluate_shape(self.shape, sizes))

    def __str__(self) -> str:
        text = f"{self.dtype.value}[{format_shape(self.shape)}]"
        return text if self.format is Format.LINEAR else f"{text} {self.format.value}"


@dataclass(frozen=True)
class TensorView:
    """A tensor in a recording: a description and where it lies.

    `slot` and `offset` (bytes) make up the ABI's `plugrt_ref`. For a constant,
    `desc.value` is the array and `digest` its content hash. `sizes` maps an axis whose
    extent is data-dependent to the int64 scalar that holds it (`desc.shape` then has
    the upper bound).
    """

    desc: TensorDesc
    slot: int
    offset: int = 0
    digest: str | None = None
    sizes: Mapping[int, TensorView] = field(default_factory=dict)

    @property
    def dtype(self) -> DataType:
        """Element type."""
        return self.desc.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Concrete shape; upper bounds where sizes are data-dependent."""
        return self.desc.sizes

    @property
    def ref(self) -> tuple[int, int]:
        """(slot, byte offset)."""
        return (self.slot, self.offset)

    def slice(self, axis: int, start: int, size: int) -> TensorView:
        """The part [start, start + size) along `axis`, in place.

        Raises ShapeError when the range leaves the tensor or cuts a channel block.
        """
        shape = list(self.shape)
        if not 0 <= start <= start + size <= shape[axis]:
            raise ShapeError(
                f"slice {start}:{start + size} leaves axis {axis} of {format_shape(shape)}"
            )
        step = start
        if self.desc.format is Format.CHANNELS_BLOCKED_16 and axis == 1:
            if start % BLOCK or size % BLOCK:
                raise ShapeError(f"channels {start}:{start + size} cut a block of {BLOCK}")
            step = start // BLOCK
        strides = self.desc.element_strides
        shape[axis] = size
        desc = replace(self.desc, shape=tuple(shape), strides=strides, value=None)
        if desc.is_dense:
            desc = replace(desc, strides=None)
        offset = self.offset + step * strides[axis] * self.dtype.itemsize
        return TensorView(desc, self.slot, offset)

    def same_memory(self, other: TensorView) -> bool:
        """True when both start at the same byte, so that copying would be idle."""
        return self.ref == other.ref and self.desc.element_strides == other.desc.element_strides
