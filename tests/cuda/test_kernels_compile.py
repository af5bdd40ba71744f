"""Our own CUDA kernels compile for every architecture that they declare; this needs no GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from plugrt.plugins.native.cuda import ARCHITECTURES, CudaKernel
from tests.cuda.kernel_cases import GROUPS
from tests.cuda.kernel_harness import kernels_of


@pytest.fixture(scope="module")
def kernels() -> list[CudaKernel]:
    """One kernel of every template, with different types and widths from one to the next."""
    found: dict[tuple[str, str], list[CudaKernel]] = {}
    for cases in GROUPS.values():
        for one in cases():
            for kernel in kernels_of(one):
                name = kernel.function.partition("<")[0]
                found.setdefault((kernel.source.name, name), []).append(kernel)
    return [made[number % len(made)] for number, made in enumerate(found.values(), 1)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_compile(architecture: str, kernels: list[CudaKernel]) -> None:
    compiled = [kernel for kernel in kernels if architecture in kernel.architectures]
    assert len(compiled) > len(kernels) - 3
    with ThreadPoolExecutor() as pool:
        for kernel, code in zip(
            compiled, pool.map(lambda one: one.compile(architecture), compiled), strict=True
        ):
            assert len(code) > 1000, kernel


def test_every_case_finds_its_kernels() -> None:
    for group, cases in GROUPS.items():
        for one in cases():
            assert kernels_of(one), f"{group}: {one}"
