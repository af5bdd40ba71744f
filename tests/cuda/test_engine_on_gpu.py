"""Engines on a GPU, beside the same networks on the CPU."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network
from plugrt.cli import main
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.interchange import DeviceArray
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.core.devices.cuda.recording import CudaRecording
from plugrt.plugins import Array
from plugrt.plugins.native.cuda import Context

pytestmark = pytest.mark.cuda

TOLERANCES = {"fp32": 2e-5, "tf32": 5e-3, "bf16": 3e-2, "fp16": 5e-3, "best": 3e-2}


def residual(batch: int | str = "N") -> Network:
    """Convolutions, a residual sum, pooling, a product and a softmax."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> Array:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    network = Network("residual")
    x = network.add_input("x", "float32", [batch, 3, 32, 32])
    stem = network.add_convolution(x, drawn(32, 3, 3, 3), drawn(32), padding=(1, 1, 1, 1)).output
    stem = network.add_leaky_relu(stem, slope=0.1).output
    y = network.add_convolution(stem, drawn(32, 32, 3, 3), padding=(1, 1, 1, 1)).output
    y = network.add_relu(network.add_add(y, stem).output).output
    y = network.add_max_pooling(y, kernel=(2, 2), strides=(2, 2)).output
    y = network.add_global_average_pooling(y).output
    y = network.add_fully_connected(y, drawn(10, 32), drawn(10)).output
    network.mark_output(network.add_softmax(y, axis=1).output, "y")
    return network


def image(batch: int = 1, seed: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((batch, 3, 32, 32), np.float32)


def config(device: str = "cuda", **options: Any) -> BuilderConfig:
    return BuilderConfig(device=device, threads=2, **{"tune": "off", **options})


def on_cpu(network: Network, *images: Array) -> list[Array]:
    with plugrt.build(network, config("cpu")) as engine, engine.create_context() as context:
        return [context.execute({"x": x})["y"] for x in images]


def graphs_of(context: Any, shape: tuple[int, ...]) -> list[Any]:
    recording = context.recording({"x": shape})
    (segment,) = recording.segments
    found = recording.variant(segment, recording.sizes).recording
    assert isinstance(found, CudaRecording)
    return found.instance().steps


@pytest.mark.parametrize("precision", sorted(TOLERANCES))
def test_the_same_as_on_the_cpu(precision: str) -> None:
    (wanted,) = on_cpu(residual(), image(4))
    settings = config(precision=precision, tune="fast", max_batch_size=4)
    with plugrt.build(residual(), settings) as engine, engine.create_context() as context:
        found = context.execute({"x": image(4)})["y"]
        assert not [line for line in engine.report if "runs on the host" in line]
        (step,) = graphs_of(context, (4, 3, 32, 32))
        assert isinstance(step, Graph)
    assert np.abs(found - wanted).max() < TOLERANCES[precision]


def test_small_results_beside_large_ones() -> None:
    rng = np.random.default_rng(0)
    network = Network("small and large")
    x = network.add_input("x", "float32", [1, 32, 64, 64])
    for _ in range(12):
        kernel = rng.standard_normal((32, 32, 3, 3)).astype(np.float32) / 12
        x = network.add_relu(network.add_convolution(x, kernel, padding=(1,) * 4).output).output
    network.mark_output(network.add_global_average_pooling(x).output, "small")
    network.mark_output(x, "large")
    with plugrt.build(network, config()) as engine, engine.create_context() as context:
        for seed in range(6):
            given = {"x": np.random.default_rng(seed).random((1, 32, 64, 64), np.float32)}
            found = context.execute(given)
            for name, there in context.execute(given, "device").items():
                np.testing.assert_array_equal(found[name], there.numpy())


def test_sizes_come_and_go() -> None:
    images = [image(n, n) for n in (1, 5, 2, 1)]
    wanted = on_cpu(residual(), *images)
    with plugrt.build(residual(), config()) as engine, engine.create_context() as context:
        for x, y in zip(images, wanted, strict=True):
            np.testing.assert_allclose(context.execute({"x": x})["y"], y, atol=2e-5)


def test_arrays_on_the_gpu() -> None:
    (wanted,) = on_cpu(residual(2), image(2))
    with plugrt.build(residual(2), config()) as engine, engine.create_context() as context:
        buffer = DeviceBuffer.of(Context.of(0), image(2))
        source = DeviceArray(buffer.address, (2, 3, 32, 32), np.float32, 0, buffer)
        for _ in range(3):
            found = context.execute({"x": source}, "device")["y"]
            assert isinstance(found, DeviceArray)
            np.testing.assert_allclose(found.numpy(), wanted, atol=2e-5)
        memory = DeviceBuffer(Context.of(0), wanted.nbytes)
        target = DeviceArray(memory.address, wanted.shape, np.float32, 0, memory)
        assert context.execute({"x": source}, {"y": target})["y"] is target
        np.testing.assert_allclose(target.numpy(), wanted, atol=2e-5)


def test_torch_tensors_go_in_and_out_without_a_copy() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    (wanted,) = on_cpu(residual(2), image(2))
    with plugrt.build(residual(2), config()) as engine, engine.create_context() as context:
        x, y = torch.from_numpy(image(2)).cuda(), torch.empty(wanted.shape, device="cuda")
        context.execute({"x": x}, {"y": y})
        np.testing.assert_allclose(y.cpu().numpy(), wanted, atol=2e-5)
        found = torch.from_dlpack(context.execute({"x": x}, "device")["y"])
        np.testing.assert_allclose(found.cpu().numpy(), wanted, atol=2e-5)


def test_contexts_on_several_threads() -> None:
    images = [image(2, seed) for seed in range(4)]
    wanted = on_cpu(residual(2), *images)
    failures: list[BaseException] = []
    with plugrt.build(residual(2), config()) as engine:

        def work(index: int) -> None:
            try:
                with engine.create_context() as context:
                    for _ in range(50):
                        found = context.execute({"x": images[index]})["y"]
                        np.testing.assert_allclose(found, wanted[index], atol=2e-5)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with plugrt.ThroughputPool(engine, contexts=3) as pool:
            for x, result in zip(images, pool.map({"x": x} for x in images), strict=False):
                del x
                assert result["y"].shape == (2, 10)
    assert failures == []


def test_plans_and_times_are_used_again(tmp_path: Path) -> None:
    (wanted,) = on_cpu(residual(1), image())
    settings = config(tune="fast", precision="fp16", timing_cache=tmp_path / "times.json")
    with plugrt.build(residual(1), settings) as engine:
        assert engine.explanation.tuning["measured"] > 0
        engine.save(tmp_path / "gpu.plan")
        first = engine.to_bytes()
    with plugrt.build(residual(1), settings) as engine:
        assert engine.explanation.tuning["measured"] == 0
        assert engine.to_bytes() == first
    with Engine.load(tmp_path / "gpu.plan") as engine, engine.create_context() as context:
        assert engine.device == "cuda"
        np.testing.assert_allclose(context.execute({"x": image()})["y"], wanted, atol=5e-3)
        names = [time.name for time in context.profile({"x": image()}, 3)]
        assert names == [layer.name for layer in engine.planned.network.layers]


def test_plans_of_the_other_device(tmp_path: Path) -> None:
    (wanted,) = on_cpu(residual(1), image())
    with plugrt.build(residual(1), config("cpu")) as engine:
        engine.save(tmp_path / "cpu.plan")
    with pytest.warns(RuntimeWarning, match="for the device 'cpu'"):
        engine = Engine.load(tmp_path / "cpu.plan", device="cuda")
    with engine, engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": image()})["y"], wanted, atol=2e-5)
    with (
        plugrt.retune(tmp_path / "cpu.plan", config(tune="fast")) as engine,
        engine.create_context() as context,
    ):
        assert engine.device == "cuda"
        np.testing.assert_allclose(context.execute({"x": image()})["y"], wanted, atol=2e-5)


def test_sizes_that_the_data_decide() -> None:
    network = Network("non zero")
    x = network.add_input("x", "float32", [4, 5])
    positions = network.add_layer("NonZero", [x], name="found").outputs[0]
    network.mark_output(network.add_cast(positions, to="float32").output, "y")
    values = (np.random.default_rng(3).random((4, 5)) > 0.5).astype(np.float32)
    with plugrt.build(network, config()) as engine, engine.create_context() as context:
        for given in (values, 1 - values, values):
            found = context.execute({"x": given})["y"]
            np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(
                np.asarray(np.nonzero(given), np.float32).ravel()))  # fmt: skip


def test_the_command_line_on_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (wanted,) = on_cpu(residual(1), image())
    plan, result = tmp_path / "gpu.plan", tmp_path / "result.json"
    with plugrt.build(residual(1), config()) as engine:
        engine.save(plan)
    np.save(tmp_path / "x.npy", image())
    arguments = ["run", str(plan), "--input", f"x={tmp_path}/x.npy", "--output-dir", str(tmp_path)]
    assert main(arguments) == 0
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), wanted, atol=2e-5)
    assert main(["bench", str(plan), "--seconds", "0.1", "--layers", "--json", str(result)]) == 0
    assert json.loads(result.read_text())["device"]["device"] == "cuda"
    assert "Convolution" in capsys.readouterr().out
