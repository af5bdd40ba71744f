"""Our own CUDA kernels against the layers' references, on a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from plugrt.plugins.native.cuda import CudaKernel
from tests.cuda.kernel_cases import GROUPS
from tests.cuda.kernel_harness import kernels_of, run_on_gpu


def compile_together(kernels: list[CudaKernel]) -> None:
    """Compile on several processors what would be compiled one by one when launched."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda kernel: kernel.stored(0), dict.fromkeys(kernels)))


pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("group", GROUPS)
def test_results_are_those_of_the_reference(group: str) -> None:
    cases = list(GROUPS[group]())
    compile_together([kernel for one in cases for kernel in kernels_of(one)])
    wrong = []
    for one in cases:
        try:
            one.check(run_on_gpu(one))
        except AssertionError as error:
            wrong.append(f"{one}: {str(error).strip()[:400]}")
    assert not wrong, f"{len(wrong)} cases differ:\n" + "\n".join(wrong[:20])
