"""Scratch memory of matrix products: cuBLASLt takes it at multiples of 256 bytes only, and an
engine gives it at multiples of 64."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda.events import DeviceStream
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import ALIGNMENT, DataType
from plugrt.plugins.native.cuda import Context
from plugrt.plugins.native.cuda import cublaslt as lt
from plugrt.plugins.native.cuda.cublaslt import algorithms, matrix_product
from plugrt.plugins.native.cuda.cublaslt import library as bound
from plugrt.plugins.native.cuda.cublaslt.library import INVALID_VALUE, ffi

from .fake_driver import FakeDriver

NAME = "lt_a66_t18_k1_r0_w0_o0_s0_i0_c0"


class PlayedLibrary:
    """cuBLASLt, as far as one product goes; it takes scratch memory as the real one does."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.scratch: list[tuple[int, int]] = []

    def __getattr__(self, name: str) -> Any:
        played = {
            "cublasLtGetStatusString": lambda status: ffi.NULL,
            "cublasLtMatmulAlgoCheck": self.check, "cublasLtMatmul": self.multiply,
        }  # fmt: skip
        return played.get(name, lambda *arguments: 0)

    def check(self, *arguments: Any) -> int:
        arguments[-1].workspaceSize = self.needed
        return 0

    def multiply(self, *arguments: Any) -> int:
        address, nbytes = int(ffi.cast("uintptr_t", arguments[-3])), arguments[-2]
        self.scratch.append((address, nbytes))
        return 0 if address % 256 == 0 and nbytes >= self.needed else INVALID_VALUE


@pytest.mark.parametrize("needed", [0, 1, 1000, 4096])
def test_scratch_memory_may_begin_anywhere(
    needed: int, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = PlayedLibrary(needed)
    for module in (bound, algorithms, matrix_product):
        monkeypatch.setattr(module, "library", lambda: played)
    plan = lt.MatrixProduct(8, 8, 8, DataType.FLOAT16, bias=True).build(NAME)
    assert (plan.workspace_bytes > 0) == (needed > 0)
    for offset in range(0, 512, ALIGNMENT):
        start = (1 << 20) + offset
        plan.execute(7, 256, 512, 768, bias=1024, workspace=start)
        address, nbytes = played.scratch[-1]
        if needed:
            assert start <= address
            assert address + nbytes <= start + plan.workspace_bytes
        else:
            assert (address, nbytes) == (0, 0)


@pytest.mark.cuda
@pytest.mark.parametrize("residual", [False, True])
def test_every_algorithm_takes_the_scratch_memory_of_an_engine(residual: bool) -> None:
    rows, columns, depth = 25088, 256, 64
    product = lt.MatrixProduct(rows, columns, depth, DataType.FLOAT16, bias=True,
                               activation="relu", residual=residual)  # fmt: skip
    context = Context.of(0)
    rng = np.random.default_rng(0)
    arrays = SimpleNamespace(
        a=rng.standard_normal((rows, depth), np.float32).astype(np.float16),
        b=rng.standard_normal((columns, depth), np.float32).astype(np.float16),
        bias=rng.standard_normal(columns, np.float32).astype(np.float16),
        residual=rng.standard_normal((rows, columns), np.float32).astype(np.float16),
    )
    exact = arrays.a.astype(np.float32) @ arrays.b.astype(np.float32).T + arrays.bias
    wanted = np.maximum(exact + (arrays.residual if residual else 0), 0)
    given = {name: DeviceBuffer.of(context, array) for name, array in vars(arrays).items()}
    stream = DeviceStream(context)
    names = product.algorithms()
    assert names
    for name in names:
        plan = product.build(name)
        scratch = DeviceBuffer(context, plan.workspace_bytes + ALIGNMENT)
        target = DeviceBuffer(context, wanted.size * 2)
        target.fill(0xFF)
        with context.current():
            plan.execute(
                stream.handle, given["a"].address, given["b"].address, target.address,
                given["bias"].address, given["residual"].address if residual else 0,
                scratch.address + ALIGNMENT,
            )  # fmt: skip
        stream.synchronize()
        found = target.read().view(np.float16).reshape(wanted.shape).astype(np.float32)
        np.testing.assert_allclose(found, wanted, rtol=4e-3, atol=4e-2, err_msg=name)
