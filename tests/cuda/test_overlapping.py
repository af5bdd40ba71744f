"""Kernels that may begin before those ahead of them have ended: what their sources must do."""

from __future__ import annotations

import re

import pytest

from plugrt.plugins.native.cuda import CudaKernel
from plugrt.plugins.native.cuda.early_starts import early_launch
from plugrt.plugins.native.cuda.headers import DEPENDENCY
from tests.cuda.kernel_cases import GROUPS
from tests.cuda.kernel_harness import kernels_of

CONSTANTS = {"weights", "factors", "sizes"}
"""Parameters that no kernel writes; sizes are those of anchors."""


@pytest.fixture(scope="module")
def sources() -> dict[str, CudaKernel]:
    """A kernel of every source of ours."""
    found: dict[str, CudaKernel] = {}
    for cases in GROUPS.values():
        for one in cases():
            for kernel in kernels_of(one):
                found.setdefault(kernel.source.name, kernel)
    return found


def test_sources_say_so_and_wait(sources: dict[str, CudaKernel]) -> None:
    overlapping = {name for name, kernel in sources.items() if kernel.overlaps}
    assert {"pointwise.cu", "tile_copy.cu", "convolution/tiles.cu"} <= overlapping
    for name, kernel in sources.items():
        text = kernel.source.text
        assert kernel.overlaps == (DEPENDENCY in text), name
        waits = text.count("await_predecessors();")
        assert bool(waits) == kernel.overlaps, name
        if "__device__ __forceinline__ void convolve" not in text and kernel.overlaps:
            assert waits == text.count("__global__ void"), name


def test_what_others_write_is_not_read_as_constant(sources: dict[str, CudaKernel]) -> None:
    """Loads through restricted pointers to constants may be moved ahead of the wait."""
    for name, kernel in sources.items():
        if kernel.overlaps:
            restricted = set(re.findall(r"const \w+ \*__restrict__ (\w+)", kernel.source.text))
            assert restricted <= CONSTANTS, name


def test_the_launch_says_so() -> None:
    pytest.importorskip("cuda.bindings")
    config = early_launch((2, 3, 4), (32, 2, 1), 1024, 0)
    assert (config.gridDimX, config.gridDimY, config.gridDimZ) == (2, 3, 4)
    assert (config.blockDimX, config.blockDimY, config.sharedMemBytes) == (32, 2, 1024)
    (attribute,) = config.attrs
    assert attribute.value.programmaticStreamSerializationAllowed == 1
