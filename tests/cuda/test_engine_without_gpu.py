"""Engines on the CUDA device, judged with a driver that keeps accounts; and what is said where
there is none."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DeviceError, Engine, Network, Registry, ShapeError
from plugrt.core.devices.cuda import context as context_module
from plugrt.core.devices.cuda import host_copies, staging
from plugrt.core.devices.cuda.bench import CudaBench
from plugrt.core.devices.cuda.context import CudaContext
from plugrt.core.devices.cuda.endpoints import LARGE
from plugrt.core.devices.cuda.host_copies import MOST_CHUNK
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.devices.cuda.shape_places import PATIENCE
from plugrt.core.devices.cuda.transfers import result_of
from plugrt.core.devices.cuda.turns import DEPTH
from plugrt.core.tuning.candidates import Candidate
from plugrt.plugins import (
    DataType,
    Format,
    Input,
    LayerPlugin,
    PlugrtError,
    PointwiseLayer,
    Stream,
    Tactic,
    TacticRequest,
    TensorDesc,
)
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import Context, cudnn
from plugrt.plugins.native.cuda.driver_calls import call

from .fake_driver import FakeDriver

OFF = {"tune": "off", "threads": 1}


class Through(LayerPlugin):
    """x, by a copy on the stream of the GPU."""

    type = "Test.Through"
    devices = ("cuda",)
    recordable = True

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        if request.device != "cuda" or request.epilogue:
            return []
        return [Tactic("plain"), Tactic("other")]

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        source, target = stream.address(inputs[0]), stream.address(outputs[0])
        call("cuMemcpyDtoDAsync", target, source, inputs[0].desc.nbytes, stream.handle)


class Python(LayerPlugin):
    """x + 1, in Python."""

    type = "Test.Python"

    def getOutputDimensions(self, index: int, inputs: Any) -> Any:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        outputs[0][...] = inputs[0] + 1


def chain(*layers: LayerPlugin) -> Network:
    registry = Registry(Registry.default())
    for layer in {type(layer): layer for layer in layers}:
        if layer.type.startswith("Test."):
            registry.register(layer)
    network = Network("chain", registry)
    x = network.add_input("x", "float32", ["N", 8])
    for k, layer in enumerate(layers):
        x = network.add_layer(layer, [x], name=f"layer{k}").output
    network.mark_output(x, "y")
    return network


def built(*layers: LayerPlugin, device: str = "cuda", **options: Any) -> Engine:
    return plugrt.build(chain(*layers), BuilderConfig(device=device, **{**OFF, **options}))


def numbers(rows: int = 2, start: int = 0) -> Any:
    return np.arange(start, start + 8 * rows, dtype=np.float32).reshape(rows, 8)


def test_arrays_of_the_host_go_through_one_graph(driver: FakeDriver) -> None:
    with built(Through(), Through()) as engine, engine.create_context() as context:
        for rows in (2, 3, 2):
            x = numbers(rows, rows)
            np.testing.assert_array_equal(context.execute({"x": x})["y"], x)
        given = np.empty((2, 8), np.float32)
        assert context.execute({"x": numbers()}, {"y": given})["y"] is given
        np.testing.assert_array_equal(given, numbers())
        assert context.recording({"x": (2, 8)}).commands == 4  # in, twice through, out
    assert engine.device == "cuda"


def test_small_results_beside_large_ones_are_read_when_all_is_done(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    wait = driver.cuEventSynchronize

    def noted(event: int) -> tuple[int]:
        waited.append(int(event))
        return wait(event)

    monkeypatch.setattr(driver, "cuEventSynchronize", noted)
    reads: list[tuple[bool, list[int]]] = []

    def reading(endpoint: Any, target: Any, is_chunked: bool) -> Any:
        reads.append((is_chunked, list(waited)))
        return result_of(endpoint, target, is_chunked)

    monkeypatch.setattr(context_module, "result_of", reading)
    network = Network("two outputs", chain(Through()).registry)
    for name in ("small", "large"):
        given = network.add_input(name, "float32", [f"{name}_rows", 8])
        network.mark_output(network.add_layer(Through(), [given]).output, f"{name}_result")
    given = {"small": numbers(), "large": numbers(LARGE // 32)}
    with (
        plugrt.build(network, BuilderConfig(device="cuda", **OFF)) as engine,
        engine.create_context() as context,
    ):
        assert isinstance(context, CudaContext)
        found = context.execute(given)
        np.testing.assert_array_equal(found["small_result"], given["small"])
        np.testing.assert_array_equal(found["large_result"], given["large"])
        (turn,) = context._turns._turns
        assert sorted(is_chunked for is_chunked, _ in reads) == [False, True]
        for is_chunked, before in reads:
            assert is_chunked or int(turn.done.cuda) in before


@pytest.mark.parametrize("processors", [1, 2, 64])
@pytest.mark.parametrize("nbytes", [LARGE - 32, LARGE, MOST_CHUNK, 9 * MOST_CHUNK + 32])
def test_large_arrays_arrive_whole(
    driver: FakeDriver, processors: int, nbytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_copies.os, "sched_getaffinity", lambda pid: set(range(processors)))
    x = numbers(nbytes // 32)
    with built(Through()) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": x})["y"], x)
        turned = np.asfortranarray(x)
        given = np.empty_like(x)
        assert context.execute({"x": turned}, {"y": given})["y"] is given
        np.testing.assert_array_equal(given, x)
        commands = context.recording({"x": x.shape}).commands
        assert commands == (3 if nbytes < LARGE else 1)  # large copies are no part of the graph


def test_a_chunk_that_fails_is_told(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 5 * MOST_CHUNK // 32
    with built(Through()) as engine, engine.create_context() as context:
        for name, number in (("cuMemcpyHtoDAsync", 2), ("cuEventSynchronize", 3)):
            calls: list[int] = []

            def failing(*arguments: int, calls: list[int] = calls, number: int = number) -> Any:
                calls.append(len(calls))
                return (719 if len(calls) == number else 0,)

            with monkeypatch.context() as patch:
                patch.setattr(driver, name, failing)
                with pytest.raises(DeviceError, match=f"{name} failed with .*719"):
                    context.execute({"x": numbers(rows)})
        np.testing.assert_array_equal(context.execute({"x": numbers(rows)})["y"], numbers(rows))


def test_pinned_arrays_are_not_copied_on_the_host(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    for name in ("send_chunks", "receive_chunks"):
        monkeypatch.setattr(staging.host_copies, name, lambda *arguments: copied.append(1))
    rows = LARGE // 32
    x, y = (plugrt.pinned_empty((rows, 8)) for _ in range(2))
    with built(Through()) as engine, engine.create_context() as context:
        for k in range(3):
            x[...] = numbers(rows, k)
            assert context.execute({"x": x}, {"y": y})["y"] is y
            np.testing.assert_array_equal(y, numbers(rows, k))
            result = context.execute({"x": x}, "device")["y"]
            x[...] = 0  # it was read already
            np.testing.assert_array_equal(result.numpy(), numbers(rows, k))
    assert copied == []


@pytest.mark.parametrize("rows", [2, LARGE // 32])
def test_calls_in_flight_have_buffers_of_their_own(driver: FakeDriver, rows: int) -> None:
    with built(Through(), Python()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)
        first = context._begin({"x": numbers(rows)}, None)
        second = context._begin({"x": numbers(rows, 5)}, None)
        for call, start in ((second, 5), (first, 0)):
            np.testing.assert_array_equal(context._finish(call)["y"], numbers(rows, start) + 1)
        assert first.places is not second.places
        assert context._begin({"x": numbers(rows)}, "device").results is not None
        assert context.execute({"x": numbers(rows)})["y"][0, 1] == 2


def test_a_third_call_waits_for_the_first(driver: FakeDriver) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        assert isinstance(context, CudaContext)
        calls = [context._begin({"x": numbers(start=k)}, None) for k in range(DEPTH)]
        waiting = context.enqueue({"x": numbers(start=9)})
        with pytest.raises(futures.TimeoutError):
            waiting.result(0.05)
        for k, call in enumerate(calls):
            np.testing.assert_array_equal(context._finish(call)["y"], numbers(start=k))
        np.testing.assert_array_equal(waiting.result(20)["y"], numbers(start=9))


def test_queued_calls_come_in_order_and_errors_to_their_own(driver: FakeDriver) -> None:
    with built(Through(), Python()) as engine, engine.create_context() as context:
        given = np.empty((2, 8), np.float32)
        waiting = [context.enqueue({"x": numbers(start=k)}, {"y": given}) for k in range(20)]
        bad = context.enqueue({"x": numbers().astype(np.float64)})
        last = context.enqueue({"x": numbers(start=99)}, {"y": given})
        assert all(future.result(20)["y"] is given for future in waiting)
        with pytest.raises(ShapeError, match="has type float64"):
            bad.result(20)
        np.testing.assert_array_equal(last.result(20)["y"], numbers(start=99) + 1)
        waiting = [context.enqueue({"x": numbers(start=k)}) for k in range(20)]
        found = [future.result(20)["y"][0, 0] for future in waiting]
        assert found == list(range(1, 21))
        waiting = [context.enqueue({"x": numbers(start=k)}) for k in range(5)]
        context.close()
        assert [future.result(0)["y"][0, 0] for future in waiting] == [1, 2, 3, 4, 5]
    with pytest.raises(PlugrtError, match="closed"):
        context.enqueue({"x": numbers()})


def test_a_pool_of_two_gpus(driver: FakeDriver) -> None:
    """Each engine keeps to its own GPU."""
    driver.devices = 2
    large = LARGE // 32
    registry = chain(Through()).registry
    with built(Through()) as engine:
        plan = engine.to_bytes()
    with plugrt.ThroughputPool.load(plan, ["cuda:0", "cuda:1"], registry=registry) as pool:
        used = {member.load.device for member in pool._members}
        for rows in (2, large):
            feeds = [{"x": numbers(rows, k)} for k in range(20)]
            for feed, found in zip(feeds, pool.map(feeds), strict=True):
                np.testing.assert_array_equal(found["y"], feed["x"])
    assert used == {"cuda", "cuda:1"}
    with (
        Engine.from_bytes(plan, registry, device="cuda:1") as engine,
        engine.create_context() as context,
    ):
        assert engine.device == "cuda:1"
        here = on_gpu(numbers())[0]
        there = on_gpu(numbers(), 1)[0]
        with pytest.raises(DeviceError, match="lies on GPU 0, the engine runs on 1"):
            context.execute({"x": here})
        result = context.execute({"x": there}, "device")["y"]
        assert isinstance(result, DeviceArray)
        assert result.ordinal == 1
        np.testing.assert_array_equal(result.numpy(), numbers())


def test_a_layer_that_fails_leaves_the_buffers(driver: FakeDriver) -> None:
    class Choosy(Python):
        """x + 1, if x is not negative."""

        type = "Test.Choosy"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            if inputs[0].min() < 0:
                raise ValueError("below zero")
            super().enqueue(inputs, outputs, workspace, stream)

    with built(Through(), Choosy()) as engine, engine.create_context() as context:
        for _ in range(DEPTH + 1):
            with pytest.raises(DeviceError, match="layer 'layer1' failed: ValueError: below zero"):
                context.execute({"x": -1 - numbers()})
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers() + 1)


def test_everything_is_given_back(driver: FakeDriver) -> None:
    def use() -> None:
        with built(Through(), Python()) as engine:
            contexts = [engine.create_context() for _ in range(2)]
            for context in contexts:
                context.execute({"x": numbers()})
                context.execute({"x": numbers()}, "device")
                context.close()

    for _ in range(2):
        use()
        gc.collect()
        assert driver.living == set()


def test_layers_without_kernels_run_on_the_host(driver: FakeDriver) -> None:
    with built(Through(), Python(), Through()) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers() + 1)
        told = [line for line in engine.report if "runs on the host" in line]
        assert len(told) == 1
        assert "layer1" in told[0]
        assert [time.name for time in context.profile({"x": numbers()}, 2)] == [
            "layer0", "layer1", "layer2"
        ]


def test_recorded_kernels_for_the_cpu_run_on_the_host_too(driver: FakeDriver) -> None:
    class Opposite(PointwiseLayer):
        type = "Test.Opposite"
        devices = ("cpu",)

        def pointwise(self) -> Any:
            return -Input(0)

    with built(Through(), Opposite()) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], -numbers())
    assert any("layer1: runs on the host" in line for line in engine.report)


def on_gpu(array: Any, ordinal: int = 0) -> tuple[DeviceArray, DeviceBuffer]:
    buffer = DeviceBuffer.of(Context.of(ordinal), array)
    return DeviceArray(buffer.address, array.shape, array.dtype, ordinal, buffer), buffer


def test_arrays_on_the_gpu_are_read_and_written_in_place(driver: FakeDriver) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        source, _ = on_gpu(numbers())
        target, memory = on_gpu(np.zeros((2, 8), np.float32))
        found = context.execute({"x": source}, {"y": target})["y"]
        assert found is target
        np.testing.assert_array_equal(memory.read().view(np.float32).reshape(2, 8), numbers())
        result = context.execute({"x": source}, "device")["y"]
        assert isinstance(result, DeviceArray)
        np.testing.assert_array_equal(result.numpy(), numbers())
        assert isinstance(context, CudaContext)
        context.synchronize()


def test_results_on_the_gpu_keep_their_contents(driver: FakeDriver) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        kept = [context.execute({"x": numbers(start=k)}, "device")["y"] for k in range(9)]
        for k, result in enumerate(kept):
            np.testing.assert_array_equal(result.numpy(), numbers(start=k))
        addresses = {result.address for result in kept}
        assert len(addresses) == 9
        del kept, result
        again = context.execute({"x": numbers()}, "device")["y"]
        assert again.address in addresses


def test_addresses_that_always_change_are_not_recorded_for_ever(driver: FakeDriver) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        kept = []
        for k in range(PATIENCE + 6):
            source, buffer = on_gpu(numbers(start=k))
            kept.append(buffer)
            np.testing.assert_array_equal(
                context.execute({"x": source})["y"], numbers(start=k)
            )
        executables = [handle for kind, handle in driver.living if kind == "executable"]
        assert len(executables) <= PATIENCE + 1


def test_what_does_not_fit_is_refused(driver: FakeDriver) -> None:
    with built(Through()) as engine, engine.create_context() as context:
        wrong, _ = on_gpu(numbers().astype(np.float64))
        same, _ = on_gpu(numbers())
        ours = numbers()
        for feeds, outputs, match in (
            ({"x": wrong}, None, "has type float64"),
            ({}, None, "missing"),
            ({"x": same}, {"y": same}, "output 'y' shares memory"),
            ({"x": ours}, {"y": ours}, "output 'y' shares memory"),
            ({"x": numbers(), "z": numbers()}, None, "unknown input 'z'"),
            ({"x": numbers()}, {"z": numbers()}, "unknown output"),
            ({"x": numbers()}, {"y": numbers(3)}, "output 'y' needs"),
            ({"x": numbers()}, {"y": on_gpu(numbers(3))[0]}, "output 'y' needs"),
        ):
            with pytest.raises(ShapeError, match=match):
                context.execute(feeds, outputs)  # type: ignore[arg-type]
        with pytest.raises(PlugrtError, match="outputs='gpu' is not possible"):
            context.execute({"x": numbers()}, "gpu")
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers())


def test_options_of_threads_are_refused(driver: FakeDriver) -> None:
    with built(Through()) as engine:
        for options in ({"processors": [0]}, {"spin_seconds": 0.1}):
            with pytest.raises(PlugrtError, match="for engines on the CPU"):
                engine.create_context(**options)  # type: ignore[arg-type]


def test_tuning_keeps_times_under_the_gpu(driver: FakeDriver, tmp_path: Path) -> None:
    cache = tmp_path / "times.json"
    with built(Through(), tune="fast", timing_cache=cache) as engine:
        assert engine.explanation.tuning["measured"] > 0
        assert engine.explanation.tuning["device"] == "cuda"
    with built(Through(), tune="fast", timing_cache=cache) as engine:
        assert engine.explanation.tuning["measured"] == 0
    assert '"device": "cuda"' in cache.read_text()
    shared = plugrt.TimingCache.load(cache)
    before = shared.fingerprint
    with built(Through(), tune="fast", timing_cache=shared) as engine:
        assert engine.explanation.tuning["measured"] == 0
    assert before["device"] == "cpu"


class Compiled(Through):
    """The same, by something that has to be compiled."""

    type = "Test.Compiled"

    def getTactics(self, request: TacticRequest) -> list[Tactic]:
        return [*super().getTactics(request), Tactic("own")]

    def getCompilations(
        self, request: TacticRequest, tactics: Sequence[Tactic]
    ) -> list[tuple[str, str]]:
        return [(request.device, tactic.name) for tactic in tactics if tactic.name != "own"]


def test_what_tactics_need_is_compiled_at_once(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Any]] = []
    def build_ahead(wanted: Any, ordinal: int) -> None:
        found = list(wanted)
        asked.extend([found] if found else [])

    monkeypatch.setattr(cudnn, "build_ahead", build_ahead)
    with built(Compiled(), tune="fast") as engine:
        assert asked == [[("cuda", "plain"), ("cuda", "other")]]
        (layer,) = engine.planned.network.layers
        layer.plugin.setTactic(Tactic("other"))
        with engine.create_context() as context:
            context.execute({"x": numbers()})
            context.execute({"x": numbers()})
            context.execute({"x": on_gpu(numbers())[0]}, "device")  # a recording of its own
            assert asked[1:] == [[("cuda", "other")]]
            context.execute({"x": numbers(3)})
    assert asked[2:] == [[("cuda", "other")]]  # once for each set of shapes


def test_what_has_to_be_compiled_is_timed_in_one_storage(driver: FakeDriver) -> None:
    shape = (1, 8, 4, 4)

    def candidate(dtype: DataType, layout: Format, tactic: str) -> Candidate:
        desc = TensorDesc(dtype, shape, layout)
        return Candidate((desc,), (desc,), Tactic(tactic))

    found = [
        candidate(dtype, layout, tactic)
        for dtype in (DataType.FLOAT32, DataType.FLOAT16)
        for layout in (Format.LINEAR, Format.CHANNELS_LAST)
        for tactic in ("plain", "own")
    ]
    (layer,) = chain(Compiled()).layers
    kept = CudaBench(Registry(), 0, 1).worth_timing(layer, found)
    own = [c for c in kept if c.tactic.name == "own"]
    assert own == [c for c in found[1::2] if c.outputs[0].dtype is DataType.FLOAT16]
    (compiled,) = [c for c in kept if c.tactic.name == "plain"]
    assert compiled.outputs[0].dtype is DataType.FLOAT16
    assert compiled.outputs[0].format is Format.CHANNELS_LAST


def test_outputs_may_be_written_as_they_are_wanted(driver: FakeDriver) -> None:
    half = TensorDesc(DataType.FLOAT16, (1, 8, 4, 4), Format.CHANNELS_LAST)
    wanted = TensorDesc(DataType.FLOAT32, (1, 8, 4, 4))
    found = [Candidate((half,), (output,), Tactic("plain")) for output in (half, wanted)]
    inner, last = chain(Compiled(), Compiled()).layers
    bench = CudaBench(Registry(), 0, 1)
    assert bench.worth_timing(inner, found) == found[:1]
    assert bench.worth_timing(last, found) == found


def test_plans_go_from_device_to_device(driver: FakeDriver, tmp_path: Path) -> None:
    network = Network()
    x = network.add_input("x", "float32", [2, 8])
    network.mark_output(network.add_softmax(x, axis=1).output, "y")
    wanted = np.exp(numbers()) / np.exp(numbers()).sum(axis=1, keepdims=True)

    class NoKernels(type(network.layers[0].plugin)):  # type: ignore[misc]
        devices = ("cpu",)

    registry = Registry(Registry.default())
    registry.register(NoKernels, override=True)
    plan = tmp_path / "cpu.plan"
    with plugrt.build(network, BuilderConfig(**OFF)) as engine:  # type: ignore[arg-type]
        engine.save(plan)
    with pytest.warns(RuntimeWarning, match="for the device 'cpu'"):
        engine = Engine.load(plan, registry, device="cuda")
    with engine, engine.create_context() as context:
        assert engine.device == "cuda"
        np.testing.assert_allclose(context.execute({"x": numbers()})["y"], wanted, rtol=1e-5)
        data = engine.to_bytes()
    with Engine.from_bytes(data, registry) as engine, engine.create_context() as context:
        assert engine.device == "cuda"
        np.testing.assert_allclose(context.execute({"x": numbers()})["y"], wanted, rtol=1e-5)
    with pytest.warns(RuntimeWarning, match="for the device 'cuda'"):
        engine = Engine.from_bytes(data, registry, device="cpu")
    with engine, engine.create_context() as context:
        assert engine.device == "cpu"
        np.testing.assert_allclose(context.execute({"x": numbers()})["y"], wanted, rtol=1e-5)
    with plugrt.retune(
        data, BuilderConfig(device="cpu", **OFF), registry  # type: ignore[arg-type]
    ) as engine:
        assert engine.device == "cpu"


def test_a_second_gpu_that_is_not_there(driver: FakeDriver) -> None:
    with pytest.raises(DeviceError, match="GPU 1 does not exist"):
        built(Through(), device="cuda:1")


# ---- without a driver ---------------------------------------------------------------------------


def test_without_a_gpu_the_error_says_what_to_do() -> None:
    if cuda.available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="'cuda' cannot be used"):
        built(Through())


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "cpu:1"])
def test_devices_that_do_not_exist(device: str) -> None:
    with pytest.raises(PlugrtError, match="device"):
        built(Python(), device=device)
