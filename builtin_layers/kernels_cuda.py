"""The CUDA kernels of the layer folders, by file and name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..plugins import DataType, DeviceError, TensorDesc
from ..plugins.native.cuda import CudaKernel, CudaSource
from ..plugins.native.cuda.expression_source import STORED_TYPES
from ..plugins.native.cuda.headers import DEPENDENCY, device_headers

THREADS = 256
"""Threads of a block, where a kernel has no reason for another number."""

ACCESS_BYTES = 16
"""The widest access of one thread; bases of tensors are aligned for it."""

_MOST_THREADS = 2**31
"""What division.cuh divides."""

_FOLDER = Path(__file__).resolve().parent


@lru_cache(maxsize=2048)
def kernel(
    file: str,
    function: str,
    layout: str,
    epilogue: str | None = None,
    architectures: tuple[str, ...] | None = None,
) -> CudaKernel:
    """The kernel of a file in this folder, such as "pooling/pooling.cu".

    `function` is its name with template arguments, `layout` as for `CudaKernel`, `epilogue` the
    text that it includes as epilogue.cuh.
    """
    text = (_FOLDER / file).read_text(encoding="utf-8")
    headers = dict(device_headers())
    if epilogue is not None:
        headers["epilogue.cuh"] = epilogue
    return CudaKernel(
        CudaSource(text, file, headers), function, layout, (), architectures,
        overlaps=DEPENDENCY in text,
    )  # fmt: skip


def stored(dtype: DataType) -> str:
    """The type in storage.cuh that holds one element."""
    return STORED_TYPES[dtype]


def blocks(threads: int, per_block: int = THREADS) -> tuple[int, int, int]:
    """The grid of so many threads in all. Raises DeviceError for more than kernels count."""
    if threads >= _MOST_THREADS:
        raise DeviceError(f"{threads} threads are too many for one kernel; split the tensor")
    return (-(-threads // per_block), 1, 1)


def pack_width(axis: int, *tensors: tuple[TensorDesc, int]) -> int:
    """Neighbours along `axis` that a thread can access together in every tensor, given with its
    byte offset: a power of two, up to as many as the narrowest type has in one access."""
    width = ACCESS_BYTES // min(desc.dtype.itemsize for desc, _ in tensors)
    while width > 1 and not all(_is_packed(desc, offset, axis, width) for desc, offset in tensors):
        width //= 2
    return width


def _is_packed(desc: TensorDesc, offset: int, axis: int, width: int) -> bool:
    item = desc.dtype.itemsize
    reach = min(width * item, ACCESS_BYTES)
    strides: Sequence[int] = desc.element_strides
    rest = [step for k, step in enumerate(strides) if k != axis and desc.sizes[k] > 1]
    return (
        strides[axis] == 1
        and desc.sizes[axis] % width == 0
        and offset % reach == 0
        and all(step * item % reach == 0 for step in rest)
    )
