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

NOT_FOR_TURING = {"convolution/tiles.cu"}
"""It copies into shared memory as sm_80 can; on sm_75 its layers have other kernels."""


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


def target(kernel: CudaKernel, architecture: str) -> str | None:
    """What the kernel is compiled for on a GPU of this architecture; None where it is not."""
    if architecture in kernel.architectures:
        return architecture
    special = f"{architecture}a"
    return special if special in kernel.architectures else None


def is_special(kernels: Iterable[CudaKernel]) -> bool:
    """Whether they use what one architecture alone has."""
    return all(name[-1] == "a" for kernel in kernels for name in kernel.architectures)


def check(architecture: str, kernels: Iterable[CudaKernel]) -> None:
    found = [(kernel, target(kernel, architecture)) for kernel in kernels]
    compiled = [(kernel, name) for kernel, name in found if name is not None]
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda one: one[0].compile(one[1]), compiled))
    for (kernel, _), code in zip(compiled, codes, strict=True):
        assert code.startswith(b"\x7fELF"), kernel


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_source_compiles(architecture: str, templates: Templates) -> None:
    """One function of each file, another one for each architecture."""
    turn = ARCHITECTURES.index(architecture)
    chosen, special = [], 0
    for name, functions in templates.items():
        written = [
            usable for kernels in functions.values()
            if (usable := [k for k in kernels if target(k, architecture)])
        ]  # fmt: skip
        lone = all(map(is_special, functions.values()))
        special += lone
        other = architecture == "sm_75" and name in NOT_FOR_TURING
        assert written or other or lone, f"{functions}: not for {architecture}"
        usable = written[turn % len(written)] if written else []
        chosen += usable[turn : turn + 1] or usable[:1]
    missing = len(NOT_FOR_TURING) if architecture == "sm_75" else 0
    assert len(chosen) >= len(templates) - missing - special
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
