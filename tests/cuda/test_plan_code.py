"""Machine code that an engine for a GPU took goes into its plan, and is found there again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network, Registry
from plugrt.core.engine.plan import read_code
from plugrt.plugins import LayerPlugin, Stream, Tactic, TacticRequest
from plugrt.plugins.native.cuda import Context, CudaKernel, CudaSource, kernel_cache
from plugrt.plugins.native.cuda.driver_calls import call

from .fake_driver import FakeDriver

KEY, CODE = "5e" * 32, b"what a library made"

TEXT = 'extern "C" __global__ void one(float *p, long long count) { p[0] = count; }'


class Made:
    """Something that a library compiled."""

    identity = KEY

    def stored(self, ordinal: int) -> tuple[str, bytes]:
        return KEY, CODE


class Kept(LayerPlugin):
    """x, by a copy; it keeps what was compiled for it."""

    type = "Test.Kept"
    devices = ("cuda",)
    recordable = True
    enqueued = 0

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        return [Tactic("plain")] if request.device == "cuda" else []

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)
        stream.keep(Made())
        Kept.enqueued += 1


def network() -> Network:
    registry = Registry(Registry.default())
    registry.register(Kept)
    made = Network("kept", registry)
    x = made.add_input("x", "float32", ["N", 8])
    made.mark_output(made.add_layer("Test.Kept", [x], name="kept").output, "y")
    return made


def test_a_plan_lends_its_code_while_its_engine_lives(
    driver: FakeDriver, tmp_path: Path
) -> None:
    before = Kept.enqueued
    config = BuilderConfig(device="cuda", tune="off", threads=1, max_batch_size=2)
    with plugrt.build(network(), config) as engine:
        data = engine.to_bytes()  # records it, as nobody has
        assert Kept.enqueued == before + 1
        x = np.ones((2, 8), np.float32)
        with engine.create_context() as context:
            np.testing.assert_array_equal(context.execute({"x": x})["y"], x)
        assert engine.to_bytes() == data
    assert read_code(data) == {KEY: CODE}
    assert kernel_cache.read(KEY) is None
    registry = network().registry
    with Engine.from_bytes(data, registry):
        assert kernel_cache.read(KEY) is None
    with Engine.from_bytes(data, registry, trusted=True) as engine:
        assert kernel_cache.read(KEY) == CODE
        with Engine.from_bytes(data, registry, trusted=True):
            pass
        assert kernel_cache.read(KEY) == CODE
    assert kernel_cache.read(KEY) is None


def test_kernels_are_stored_by_the_key_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(ordinal=0, properties=SimpleNamespace(architecture="sm_90"))
    monkeypatch.setattr(Context, "of", lambda ordinal: gpu)
    monkeypatch.setenv(kernel_cache.VARIABLE, "off")
    kernel = CudaKernel(CudaSource(TEXT, "one.cu"), "one", "Tq")
    same = CudaKernel(CudaSource(TEXT, "one.cu"), "one", "Tq")
    assert same.identity == kernel.identity
    assert CudaKernel(CudaSource(TEXT, "two.cu"), "one", "Tq").identity != kernel.identity
    key, payload = kernel.stored(0)
    seen: list[str] = []
    monkeypatch.setattr(
        "plugrt.plugins.native.cuda.compiler._compile", lambda *given: seen.append("compiled")
    )
    loan = kernel_cache.Loan()
    loan.add({key: payload})
    try:
        assert same.stored(0) == (key, payload)
    finally:
        loan.end()
    assert seen == []
