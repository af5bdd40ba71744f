"""The CUDA kernels of this package, compiled by NVRTC when first launched."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from plugrt.plugins import DataType
from plugrt.plugins.native.cuda import CudaKernel, CudaSource
from plugrt.plugins.native.cuda.headers import device_headers

THREADS = 256
"""In a block."""

TYPES = {
    DataType.FLOAT32: "float", DataType.FLOAT16: "plugrt::float16",
    DataType.BFLOAT16: "plugrt::bfloat16", DataType.INT8: "plugrt::int8",
    DataType.UINT8: "plugrt::uint8",
}  # fmt: skip
"""What storage.cuh calls the element types."""

_FOLDER = Path(__file__).resolve().parent


@lru_cache(maxsize=64)
def kernel(file: str, function: str, layout: str) -> CudaKernel:
    """The kernel of a file in this folder; `function` is its name with template arguments."""
    text = (_FOLDER / file).read_text(encoding="utf-8")
    return CudaKernel(CudaSource(text, file, device_headers()), function, layout)


def blocks(threads: int) -> tuple[int]:
    """The grid of so many threads in all."""
    return (-(-threads // THREADS),)
