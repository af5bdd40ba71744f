"""What goes wrong on a machine with a GPU, what is said of it, and what goes on working."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, Engine, Network
from plugrt.core.devices.cuda.memory import DeviceMemory, DeviceMemoryError
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import PluginError, Stream
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import CudaKernel, cublaslt, cudnn
from tests.cuda.sample_layers import SOURCE, Scale
from tests.cuda.test_engine_on_gpu import config, image, on_cpu, residual

pytestmark = pytest.mark.cuda

SIDE = 16384


def spreading() -> Network:
    """The sum over [N, SIDE, SIDE] of x + rows + columns: a gigabyte between for each row of x."""
    network = Network("spreading")
    x = network.add_input("x", "float32", ["N", 1, 1])
    rows = network.add_add(x, np.ones((1, SIDE, 1), np.float32)).output
    whole = network.add_add(rows, np.ones((1, 1, SIDE), np.float32)).output
    total = network.add_layer("ReduceMax", [whole], axes=(1, 2), keep_dims=False).output
    network.mark_output(total, "y")
    return network


def test_too_large_a_batch_tells_the_bytes_and_hurts_nobody_else() -> None:
    memory = cuda.device_properties().memory_bytes
    batch = memory // (4 * SIDE * SIDE) + 8
    small, large = np.ones((1, 1, 1), np.float32), np.ones((batch, 1, 1), np.float32)
    (wanted,) = on_cpu(residual(1), image())
    with (
        plugrt.build(spreading(), config()) as engine,
        plugrt.build(residual(1), config("cpu")) as cpu,
        plugrt.build(residual(1), config()) as other,
        other.create_context() as beside,
        cpu.create_context() as on_the_cpu,
        engine.create_context() as context,
    ):
        assert context.execute({"x": small})["y"] == 3
        held = DeviceMemory.of(cuda.Context.of(0)).allocated_bytes
        with pytest.raises(DeviceMemoryError) as caught:
            context.execute({"x": large})
        message = str(caught.value)
        assert f"bytes for the activations of float32[{batch}x1x1] on GPU 0" in message
        assert f"{caught.value.requested:,}" in message
        assert caught.value.requested >= 4 * SIDE * SIDE * batch
        assert 0 < caught.value.free < caught.value.requested
        assert abs(caught.value.total - memory) < memory / 10
        assert DeviceMemory.of(cuda.Context.of(0)).allocated_bytes <= held + (1 << 20)
        assert context.execute({"x": small})["y"] == 3
        np.testing.assert_allclose(beside.execute({"x": image()})["y"], wanted, atol=2e-5)
        np.testing.assert_allclose(on_the_cpu.execute({"x": image()})["y"], wanted, atol=2e-5)
        with engine.create_context() as fresh:
            assert fresh.execute({"x": small})["y"] == 3


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_without_cudnn_and_cublaslt_own_kernels_do(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "cudnn cannot be loaded (gone); install nvidia-cudnn-cu13"
    for package in (cudnn, cublaslt):
        for module in (package, package.library):  # type: ignore[attr-defined]
            monkeypatch.setattr(module, "unavailable_reason", lambda: reason)
    (wanted,) = on_cpu(residual(1), image())
    with (
        plugrt.build(residual(1), config(precision=precision, tune="fast")) as engine,
        engine.create_context() as context,
    ):
        names = [layer.plugin.tactic.name for layer in engine.planned.network.layers]
        assert not [name for name in names if "cudnn" in name or "cublaslt" in name]
        assert not [line for line in engine.report if "runs on the host" in line]
        told = [line for line in engine.report if " is not used: " in line]
        assert [line.partition(" ")[0] for line in told] == ["cuDNN", "cuBLASLt"]
        assert all(reason in line for line in told)
        found = context.execute({"x": image()})["y"]
    np.testing.assert_allclose(found, wanted, atol=5e-3 if precision == "fp16" else 2e-5)


def test_with_all_libraries_nothing_is_told_of_them() -> None:
    with plugrt.build(residual(1), config()) as engine:
        assert not [line for line in engine.report if " is not used: " in line]


def run_python(program: str, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


HIDDEN = """
import sys, warnings
import numpy as np
import plugrt
from plugrt.plugins.native import cuda

print(cuda.unavailable_reason())
try:
    plugrt.Engine.load(sys.argv[1], device="cuda")
except plugrt.DeviceError as error:
    print(error)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    engine = plugrt.Engine.load(sys.argv[1])
print(next(one.message for one in told if "device 'cuda'" in str(one.message)))
with engine, engine.create_context() as context:
    image, wanted = np.load(sys.argv[2]), np.load(sys.argv[3])
    print(engine.device, np.abs(context.execute({"x": image})["y"] - wanted).max() < 5e-3)
"""


def test_a_plan_of_this_gpu_where_it_is_hidden(tmp_path: Path) -> None:
    (wanted,) = on_cpu(residual(1), image())
    with plugrt.build(residual(1), config(precision="fp16", tune="fast")) as engine:
        engine.save(tmp_path / "gpu.plan")
    np.save(tmp_path / "x.npy", image())
    np.save(tmp_path / "y.npy", wanted)
    files = [str(tmp_path / name) for name in ("gpu.plan", "x.npy", "y.npy")]
    reason, refusal, warning, result = run_python(
        HIDDEN, *files, CUDA_VISIBLE_DEVICES=""
    ).splitlines()
    assert "CUDA_VISIBLE_DEVICES" in reason
    assert refusal == f"the device 'cuda' cannot be used: {reason}"
    assert warning == f"{refusal}; the plan runs on the CPU"
    assert result == "cpu True"


LEAVING = """
import numpy as np
import plugrt
from plugrt import BuilderConfig, DeviceError
from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins.native.cuda import CudaKernel
from tests.cuda.sample_layers import SOURCE, Scale
from tests.cuda.test_engine_on_gpu import config, image, residual

class Leaving(Scale):
    type = "Test.Leaving"

    def enqueue(self, inputs, outputs, workspace, stream):
        stream.launch_grid(CudaKernel(SOURCE, "leave_memory", "T"), [1], [1], outputs[0])

for layer in (Leaving(), Scale()):
    try:
        run_on_gpu(layer, [np.ones(4, np.float32)])
    except DeviceError as error:
        print(error)
with plugrt.build(residual(1), config("cpu")) as engine, engine.create_context() as context:
    print(np.isfinite(context.execute({"x": image()})["y"]).all())
"""


def test_after_a_fatal_error_the_cpu_goes_on() -> None:
    first, second, cpu = run_python(LEAVING).splitlines()
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in first
    assert "a kernel left its tensors: run compute-sanitizer" in first
    assert "this process cannot use the GPU any more" in second
    assert cpu == "True"


def test_a_plan_with_tactics_that_do_not_exist_still_runs(tmp_path: Path) -> None:
    (wanted,) = on_cpu(residual(1), image())
    with plugrt.build(residual(1), config()) as engine:
        for layer in engine.planned.network.layers:
            if layer.plugin.type == "Convolution":
                forged = f"cuda:cudnn:eng999_k{len(layer.name)}=7"
                layer.plugin.setTactic(replace(layer.plugin.tactic, name=forged))
        engine.save(tmp_path / "forged.plan")
    with Engine.load(tmp_path / "forged.plan") as engine, engine.create_context() as context:
        np.testing.assert_allclose(context.execute({"x": image()})["y"], wanted, atol=2e-5)


@pytest.mark.parametrize(("layout", "arguments"), [("TT", 2), ("T3q", 2), ("TTqff", 5)])
def test_a_layout_that_is_not_the_functions_is_refused(layout: str, arguments: int) -> None:
    """The driver would read parameters behind those that it is given."""

    class Wrong(Scale):
        type = "Test.WrongLayout"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            given = {"TT": (), "T3q": ([1, 2, 3],), "TTqff": (4, 2.0, 2.0)}[layout]
            tensors = (inputs[0], outputs[0])[: arguments - len(given)]
            kernel = CudaKernel(SOURCE, "scale<float>", layout)
            stream.launch_grid(kernel, [1], [4], *tensors, *given)

    with pytest.raises(PluginError, match="the function takes 8, 8, 8, 4;"):
        run_on_gpu(Wrong(), [np.ones(4, np.float32)])
    np.testing.assert_array_equal(run_on_gpu(Scale(), [np.ones(4, np.float32)])[0], [2, 2, 2, 2])


def test_an_ordinal_that_does_not_exist_is_named() -> None:
    count = cuda.device_count()
    with pytest.raises(plugrt.DeviceError, match=f"GPU {count} does not exist.* sees {count}"):
        plugrt.build(residual(1), BuilderConfig(device=f"cuda:{count}"))
