"""An H200 that is played: its properties, and kernels that are looked at in place of being run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from plugrt.plugins import DeviceError
from plugrt.plugins.native.cuda import Context, CudaKernel, packages
from tests.cuda.fake_driver import FakeDriver

MOST_SHARED = 227 << 10
MOST_THREADS = 1024
MOST_BLOCKS = ((1 << 31) - 1, 65535, 65535)

ATTRIBUTES = {
    "COMPUTE_CAPABILITY_MAJOR": 9,
    "COMPUTE_CAPABILITY_MINOR": 0,
    "MULTIPROCESSOR_COUNT": 132,
    "MAX_THREADS_PER_MULTIPROCESSOR": 2048,
    "L2_CACHE_SIZE": 50 << 20,
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": MOST_SHARED,
    "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 228 << 10,
    "MAX_REGISTERS_PER_MULTIPROCESSOR": 65536,
    "MEMORY_POOLS_SUPPORTED": 1,
}


class Names:
    """An enumeration whose members are their names."""

    def __getattr__(self, name: str) -> str:
        return name.removeprefix("CU_DEVICE_ATTRIBUTE_")


class PlayedHopper:
    """The kernels that were launched, each once, in the order of their first launch."""

    def __init__(self, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernels: dict[Any, CudaKernel] = {}
        self._driver = driver
        shown: Any = driver
        shown.CUdevice_attribute = Names()
        shown.cuDeviceGetAttribute = lambda name, device: (0, ATTRIBUTES[name])
        driver.capacity = 8 << 30

        def launch(
            kernel: CudaKernel, context: Context, stream: int, grid: Sequence[int],
            block: Sequence[int], parameters: Sequence[bytes], shared_bytes: int = 0,
        ) -> None:  # fmt: skip
            self.look_at(kernel, grid, block, parameters, shared_bytes)
            packages.driver().put(stream, lambda: None)

        def stored(kernel: CudaKernel, ordinal: int) -> tuple[str, bytes]:
            raise DeviceError("nothing is compiled here")

        monkeypatch.setattr(CudaKernel, "launch", launch)
        monkeypatch.setattr(CudaKernel, "stored", stored)

    def look_at(
        self, kernel: CudaKernel, grid: Sequence[int], block: Sequence[int],
        parameters: Sequence[bytes], shared_bytes: int,
    ) -> None:  # fmt: skip
        """Fail for what an H200 would refuse."""
        assert kernel.supports("sm_90"), kernel
        assert [len(value) for value in parameters] == kernel.parameter_sizes, kernel
        threads = 1
        for size in block:
            assert size >= 1, (kernel, block)
            threads *= size
        assert threads <= MOST_THREADS, (kernel, block)
        assert shared_bytes <= MOST_SHARED, (kernel, shared_bytes)
        assert 1 <= len(grid) <= len(MOST_BLOCKS), (kernel, grid)
        for size, most in zip(grid, MOST_BLOCKS, strict=False):
            assert 0 <= size <= most, (kernel, grid)
        self.kernels.setdefault(kernel.identity, kernel)
