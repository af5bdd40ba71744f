"""Machine code that an engine for a GPU took goes into its plan, and is found there again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network, Registry
from plugrt.core.engine import loading
from plugrt.core.engine.plan import read_code
from plugrt.plugins import LayerPlugin, Stream, Tactic, TacticRequest
from plugrt.plugins.native.cuda import Context, CudaKernel, CudaSource, compiler, kernel_cache
from plugrt.plugins.native.cuda.compiler import Compiled
from plugrt.plugins.native.cuda.cudnn import ConvolutionPlan
from plugrt.plugins.native.cuda.driver_calls import call
from plugrt.plugins.native.cuda.lent_code import Loan, is_anything_lent, lent

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
    found: ClassVar[list[bytes | None]] = []
    """What was lent under KEY, call by call."""

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        return [Tactic("plain")] if request.device == "cuda" else []

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)
        stream.keep(Made())
        Kept.enqueued += 1
        brought = lent(KEY)
        Kept.found.append(None if brought is None else brought.payload)


def network() -> Network:
    registry = Registry(Registry.default())
    registry.register(Kept)
    made = Network("kept", registry)
    x = made.add_input("x", "float32", ["N", 8])
    made.mark_output(made.add_layer("Test.Kept", [x], name="kept").output, "y")
    return made


def found_by(*engines: Engine) -> list[bytes | None]:
    """What is lent to each engine while it records."""
    Kept.found.clear()
    for engine in engines:
        with engine.create_context() as context:
            context.execute({"x": np.ones((2, 8), np.float32)})
    return list(Kept.found)


def test_a_plan_lends_its_code_to_its_own_engine(driver: FakeDriver) -> None:
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
    registry = network().registry
    with (
        Engine.from_bytes(data, registry, trusted=True) as trusted,
        Engine.from_bytes(data, registry) as other,
        Engine.from_bytes(data, registry, trusted=True) as another,
    ):
        assert found_by(trusted, other, another, other) == [CODE, None, CODE, None]
        assert lent(KEY) is None
        assert kernel_cache.read(KEY) is None
        another.close()
        assert found_by(trusted, other) == [CODE, None]


class Launching(FakeDriver):
    """One that loads modules; `launched` are the images of what ran."""

    @property
    def launched(self) -> list[bytes]:
        found: list[bytes] = self.__dict__.setdefault("_launched", [])
        return found

    def cuModuleLoadData(self, image: bytes) -> tuple[int, bytes]:  # noqa: N802
        return 0, image

    def cuModuleGetFunction(self, module: bytes, name: bytes) -> tuple[int, bytes]:  # noqa: N802
        return 0, module

    def cuLaunchKernel(self, image: bytes, *arguments: Any) -> tuple[int]:  # noqa: N802
        return self.put(arguments[7], lambda: self.launched.append(image))


class Launched(Kept):
    """x, by a copy beside a kernel."""

    type = "Test.Launched"
    kernel: ClassVar[CudaKernel]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)
        stream.launch_grid(self.kernel, [1], [1], outputs[0], 1)


def runs(engine: Engine, driver: Launching) -> list[bytes]:
    """The images that one call launches."""
    driver.launched.clear()
    with engine.create_context() as context:
        context.execute({"x": np.ones((2, 8), np.float32)})
    return list(driver.launched)


def test_what_one_engine_brings_no_other_one_runs(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the code under a right key is another program, whichever is loaded first."""
    driver.__class__ = Launching
    assert isinstance(driver, Launching)
    monkeypatch.setenv(kernel_cache.VARIABLE, "off")
    monkeypatch.setattr(compiler, "toolchain", lambda: "played")
    monkeypatch.setattr(compiler, "supported_architectures", lambda: ("sm_99",))
    monkeypatch.setattr(compiler, "_compile", lambda *given: Compiled(b"our own", "one"))
    kernel = CudaKernel(CudaSource(TEXT, "one.cu"), "one", "Tq")
    monkeypatch.setattr(Launched, "kernel", kernel, raising=False)
    registry = Registry(Registry.default())
    registry.register(Launched)
    made = Network("launched", registry)
    x = made.add_input("x", "float32", [2, 8])
    made.mark_output(made.add_layer("Test.Launched", [x]).output, "y")
    config = BuilderConfig(device="cuda", tune="off", threads=1)
    with plugrt.build(made, config) as engine:
        data = engine.to_bytes()
        assert runs(engine, driver) == [b"our own"]
    ((key, payload),) = read_code(data).items()
    assert bytes(payload) == b"one\0our own"
    monkeypatch.setattr(loading, "read_code", lambda data: {key: b"one\0forged"})
    with Engine.from_bytes(data, registry, trusted=True) as trusted:
        assert runs(trusted, driver) == [b"forged"]
        with Engine.from_bytes(data, registry) as other, plugrt.build(made, config) as built:
            for one in (other, built):
                assert runs(one, driver) == [b"our own"]
                assert {bytes(code) for code in read_code(one.to_bytes()).values()} == {payload}
        assert runs(trusted, driver) == [b"forged"]
        assert set(read_code(trusted.to_bytes()).values()) == {b"one\0forged"}


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
    compile_anew = compiler._compile

    def compiled(*given: Any) -> Compiled:
        seen.append("compiled")
        return compile_anew(*given)

    monkeypatch.setattr(compiler, "_compile", compiled)
    loan = Loan()
    loan.add({key: payload})
    with loan.in_use(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, same.stored, 0).result() == (key, payload)
        assert same.stored(0) == (key, payload)
        with Loan().in_use():
            assert lent(key) is None
            assert not is_anything_lent()
        assert lent(key) is not None
        assert is_anything_lent()
    assert seen == []
    assert same.stored(0) == (key, payload)
    assert seen == ["compiled"]


def test_plans_of_cudnn_are_made_for_each_lender(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plan:
        def __init__(self, made_of: bytes) -> None:
            self.made_of = made_of
            self.workspace_bytes = len(made_of)

        def serialized(self) -> bytes:
            return self.made_of

    class Graph:
        operands = ()

        def compiled(self, name: str, ordinal: int, key: str) -> Plan:
            return Plan(b"our own")

        def loaded(self, data: bytes, ordinal: int) -> Plan:
            if data == b"damaged":
                raise plugrt.DeviceError("of another build")
            return Plan(data)

    graph: Any = Graph()
    forged, damaged = Loan(), Loan()
    forged.add({KEY: b"forged"})
    damaged.add({KEY: b"damaged"})
    with forged.in_use():
        plan = ConvolutionPlan(graph, KEY, "eng0", 0)
        assert plan.stored(0) == (KEY, b"forged")
        assert plan.workspace_bytes == 6
    assert plan.stored(0) == (KEY, b"our own")
    assert plan.workspace_bytes == 7
    with damaged.in_use():
        assert plan.stored(0) == (KEY, b"our own")
