"""Our own CUDA kernels compile for every architecture that they declare; this needs no GPU."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugrt.plugins.native.cuda import ARCHITECTURES, CudaKernel
from tests.cuda.kernel_cases import GROUPS
from tests.cuda.kernel_harness import kernels_of

Templates = dict[str, dict[str, list[CudaKernel]]]
"""By source file and function."""


@pytest.fixture(scope="module")
def templates() -> Templates:
    """The kernels of all cases."""
    found: Templates = {}
    for cases in GROUPS.values():
        for one in cases():
            for kernel in kernels_of(one):
                name = kernel.function.partition("<")[0]
                found.setdefault(kernel.source.name, {}).setdefault(name, []).append(kernel)
    return found


def check(architecture: str, kernels: Iterable[CudaKernel]) -> None:
    compiled = [kernel for kernel in kernels if architecture in kernel.architectures]
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda one: one.compile(architecture), compiled))
    for kernel, code in zip(compiled, codes, strict=True):
        assert code.startswith(b"\x7fELF"), kernel


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_source_compiles(architecture: str, templates: Templates) -> None:
    """One function of each file, another one for each architecture."""
    turn = ARCHITECTURES.index(architecture)
    chosen = []
    for functions in templates.values():
        written = [
            usable for kernels in functions.values()
            if (usable := [k for k in kernels if architecture in k.architectures])
        ]  # fmt: skip
        assert written or architecture == "sm_75", f"{functions} has none for {architecture}"
        usable = written[turn % len(written)] if written else []
        chosen += usable[turn : turn + 1] or usable[:1]
    assert len(chosen) > len(templates) - 2
    check(architecture, chosen)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_function_compiles(architecture: str, templates: Templates) -> None:
    """Every function of every file, with different types and widths from one to the next."""
    functions = [kernels for found in templates.values() for kernels in found.values()]
    check(architecture, [made[k % len(made)] for k, made in enumerate(functions, 1)])


def test_every_case_finds_its_kernels() -> None:
    for group, cases in GROUPS.items():
        for one in cases():
            assert kernels_of(one), f"{group}: {one}"
