"""The CUDA kernels of this package, by file and name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from plugrt.plugins.native.cuda import CudaKernel, CudaSource
from plugrt.plugins.native.cuda.headers import DEPENDENCY, device_headers

THREADS = 256

_FOLDER = Path(__file__).resolve().parent


@lru_cache(maxsize=256)
def kernel(file: str, function: str, layout: str) -> CudaKernel:
    """The kernel of a file in this package, such as "layers/anchors.cu"; `function` is its name
    with template arguments, `layout` as for `CudaKernel`."""
    text = (_FOLDER / file).read_text(encoding="utf-8")
    headers = {**device_headers(), **_own_headers()}
    return CudaKernel(
        CudaSource(text, file, headers), function, layout, overlaps=DEPENDENCY in text
    )


@cache
def _own_headers() -> Mapping[str, str]:
    paths = sorted(_FOLDER.glob("*/*.cuh"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def blocks(threads: int) -> tuple[int, int, int]:
    """The grid of so many threads in all."""
    return (-(-threads // THREADS), 1, 1)
