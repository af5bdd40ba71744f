"""The CUDA kernels of this package, by file and name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from plugrt.plugins.native.cuda import CudaKernel, CudaSource
from plugrt.plugins.native.cuda.headers import device_headers

THREADS = 256

_FOLDER = Path(__file__).resolve().parent


@lru_cache(maxsize=256)
def kernel(file: str, function: str, layout: str) -> CudaKernel:
    """The kernel of a file in this package, such as "layers/anchors.cu"; `function` is its name
    with template arguments, `layout` as for `CudaKernel`."""
    text = (_FOLDER / file).read_text(encoding="utf-8")
    return CudaKernel(CudaSource(text, file, device_headers()), function, layout)


def blocks(threads: int) -> tuple[int, int, int]:
    """The grid of so many threads in all."""
    return (-(-threads // THREADS), 1, 1)
