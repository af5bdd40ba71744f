"""Tensor descriptions as cuDNN takes them: four or five dimensions, strides in elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....data_types import DataType
from ....errors import DeviceError, ShapeError
from ....tensor import TensorDesc
from .descriptors import TENSOR, Descriptor, made

DATA_TYPES = {
    DataType.FLOAT32: 0,
    DataType.FLOAT64: 1,
    DataType.FLOAT16: 2,
    DataType.INT8: 3,
    DataType.INT32: 4,
    DataType.UINT8: 6,
    DataType.BFLOAT16: 9,
    DataType.INT64: 10,
    DataType.BOOL: 11,
    DataType.FLOAT8_E4M3FN: 12,
    DataType.FLOAT8_E5M2: 13,
}
"""cudnnDataType_t."""

ALIGNMENT = 16
"""What the vector accesses of all engines need."""


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of at least two spatial dimensions."""

    dtype: DataType
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    alignment: int = ALIGNMENT

    @classmethod
    def of(cls, desc: TensorDesc) -> TensorSpec:
        """A tensor (N, C, spatial...) or weights (O, I, kernel...); one spatial dimension
        becomes two. Raises ShapeError for other ranks."""
        dims, strides = list(desc.sizes), list(desc.element_strides)
        if not 3 <= len(dims) <= 5:
            raise ShapeError(f"cuDNN convolves tensors of rank 3 to 5, not {desc}")
        if len(dims) == 3:
            dims.insert(2, 1)
            strides.insert(2, strides[2] * dims[3])
        return cls(_known(desc.dtype), tuple(dims), tuple(strides), min(desc.alignment, ALIGNMENT))

    @classmethod
    def operand(cls, desc: TensorDesc, axis: int | None, rank: int) -> TensorSpec:
        """An operand of an expression: a vector along `axis`, or broadcast to `rank` as in
        NumPy. Raises ShapeError when it has more dimensions."""
        sizes, steps = list(desc.sizes), list(desc.element_strides)
        if axis is not None:
            count = max(sizes, default=1)
            step = steps[sizes.index(count)] if sizes else 1
            dims = [1] * rank
            dims[axis] = count
            strides = [count * step] * rank
            strides[axis] = step
        elif len(sizes) > rank:
            raise ShapeError(f"operand {desc} has more than {rank} dimensions")
        else:
            whole = max([size * step for size, step in zip(sizes, steps, strict=True)], default=1)
            dims = [1] * (rank - len(sizes)) + sizes
            strides = [whole] * (rank - len(sizes)) + steps
        if rank == 3:
            dims.insert(2, 1)
            strides.insert(2, strides[2] * dims[3])
        return cls(_known(desc.dtype), tuple(dims), tuple(strides), min(desc.alignment, ALIGNMENT))

    def descriptor(self, uid: int, virtual: bool = False, by_value: bool = False) -> Descriptor:
        """A finalised descriptor; `uid` names it in a call."""
        return made(
            TENSOR,
            tensor_type=("data_type", DATA_TYPES[self.dtype]),
            tensor_dimensions=("int64", *self.dims),
            tensor_strides=("int64", *self.strides),
            tensor_uid=("int64", uid),
            tensor_alignment=("int64", self.alignment),
            tensor_virtual=("boolean", virtual),
            tensor_by_value=("boolean", by_value),
        )


def _known(dtype: DataType) -> DataType:
    if dtype not in DATA_TYPES:
        names = ", ".join(known.value for known in DATA_TYPES)
        raise DeviceError(f"cuDNN has no element type {dtype.value}; convert to one of: {names}")
    return dtype


def paired(values: Sequence[int], fill: int) -> tuple[int, ...]:
    """Spatial parameters of a convolution; one spatial dimension becomes two."""
    return (fill, *values) if len(values) == 1 else tuple(values)
