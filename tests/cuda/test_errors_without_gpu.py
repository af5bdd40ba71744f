"""What goes wrong around a GPU and what is said of it, with a driver that is played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugrt
from plugrt import BuilderConfig, DeviceError, Engine, Network
from plugrt.core.devices.cuda.device import CudaDevice
from plugrt.core.devices.cuda.memory import DeviceBuffer, DeviceMemory, DeviceMemoryError
from plugrt.core.devices.cuda.memory import pinned_array as pinned
from plugrt.plugins import LayerPlugin, PluginError, Shape, Stream
from plugrt.plugins.native import cuda
from plugrt.plugins.native.cuda import (
    Context,
    CudaKernel,
    cudnn,
    driver_calls,
    libraries,
    parameter_check,
)

from .fake_driver import FakeDriver
from .sample_layers import SOURCE
from .test_engine_without_gpu import Through, built, numbers


def plain_network() -> Network:
    network = Network("plain")
    x = network.add_input("x", "float32", ["N", 8])
    network.mark_output(network.add_relu(x).output, "y")
    return network


# ---- memory -------------------------------------------------------------------------------------


def test_too_large_a_batch_tells_the_bytes_and_hurts_nobody_else(driver: FakeDriver) -> None:
    with built(Through(), Through()) as engine, engine.create_context() as other:
        np.testing.assert_array_equal(other.execute({"x": numbers()})["y"], numbers())
        with engine.create_context() as context:
            context.execute({"x": numbers()})
            driver.capacity = driver.held("memory") + 40_000
            large = numbers(2000)  # 64,000 bytes
            with pytest.raises(DeviceMemoryError) as caught:
                context.execute({"x": large})
            assert caught.value.requested >= large.nbytes
            assert caught.value.free < large.nbytes < caught.value.total + large.nbytes
            message = str(caught.value)
            assert f"{caught.value.requested:,} bytes for " in message
            assert f"{caught.value.free:,} of {driver.capacity:,} are free" in message
            assert "use a smaller batch, fewer contexts" in message
            for each in (context, other):
                for _ in range(2):
                    found = each.execute({"x": numbers()})["y"]
                    np.testing.assert_array_equal(found, numbers())
            driver.capacity = 1 << 30
            np.testing.assert_array_equal(context.execute({"x": large})["y"], large)


def test_activations_and_weights_say_what_they_are(driver: FakeDriver) -> None:
    context = Context.of(0)
    driver.capacity = 1000
    for what in ("the activations of x", "packed weights", "a constant"):
        with pytest.raises(DeviceMemoryError, match=f"allocate 2,000 bytes for {what} on GPU 0"):
            DeviceBuffer(context, 2000, what)
    assert DeviceMemory.of(context).allocated_bytes == 0
    with pytest.raises(DeviceError, match=r"cannot pin 2,000 bytes of host memory.*ulimit -l"):
        pinned(context, 2000)


def test_more_than_there_is_in_all_is_not_asked_for(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver might take all memory of the GPU before it says no."""
    context = Context.of(0)
    DeviceBuffer(context, 1000)
    asked: list[int] = []
    plain = driver.cuMemAllocFromPoolAsync

    def allocate(size: int, pool: int, stream: int) -> Any:
        asked.append(size)
        return plain(size, pool, stream)

    monkeypatch.setattr(driver, "cuMemAllocFromPoolAsync", allocate)
    total = context.properties.memory_bytes
    with pytest.raises(DeviceMemoryError, match=f"cannot allocate {total + 1:,} bytes on GPU 0"):
        DeviceBuffer(context, total + 1)
    assert asked == []
    assert DeviceBuffer(context, 1000).address
    assert asked == [1000]


def test_memory_that_is_on_its_way_back_is_waited_for(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freed on a stream, memory counts only when the stream has come so far."""
    context = Context.of(0)
    asked = []

    def trim(pool: int, size: int) -> tuple[int]:
        asked.append(pool)
        driver.capacity = 4000
        return (0,)

    monkeypatch.setattr(driver, "cuMemPoolTrimTo", trim)
    driver.capacity = 1000
    assert DeviceBuffer(context, 2000).address
    assert len(asked) == 1


def test_the_cpu_does_not_care_how_full_the_gpu_is(driver: FakeDriver) -> None:
    driver.capacity = 0
    with plugrt.build(plain_network(), BuilderConfig(tune="off")) as engine:
        with engine.create_context() as context:
            found = context.execute({"x": -numbers()})["y"]
        np.testing.assert_array_equal(found, 0 * numbers())
    with pytest.raises(DeviceError):
        built(Through()).create_context()


# ---- no device, old drivers, missing libraries --------------------------------------------------


@pytest.mark.skipif(cuda.available(), reason="a GPU is present")
@pytest.mark.parametrize(
    "use",
    [
        lambda plan: plugrt.build(plain_network(), BuilderConfig(device="cuda")),
        lambda plan: Engine.load(plan, device="cuda"),
        lambda plan: plugrt.retune(plan, BuilderConfig(device="cuda")),
    ],
    ids=["build", "load", "retune"],
)
def test_without_a_gpu_what_needs_one_says_so(use: Any, tmp_path: Path) -> None:
    plan = tmp_path / "cpu.plan"
    with plugrt.build(plain_network(), BuilderConfig(tune="off")) as engine:
        engine.save(plan)
    with pytest.raises(DeviceError, match=r"the device 'cuda' cannot be used: .*'cpu'"):
        use(plan)
    with Engine.load(plan) as engine, engine.create_context() as context:
        np.testing.assert_array_equal(context.execute({"x": numbers()})["y"], numbers())


@pytest.mark.parametrize(
    ("reason", "match"),
    [
        ('"cuda" is an NVIDIA driver library', "driver is not on this machine.*install it"),
        ("Failed to dlopen libcuda.so.1", "driver is not on this machine.*install it"),
        ('Function "cuGraphAddNode" not found. More.', "driver has no cuInit.*newer driver"),
    ],
)
def test_what_the_driver_lacks_is_told_from_no_driver(
    reason: str, match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: object) -> None:
        raise RuntimeError(reason)

    class Driver:
        cuInit = staticmethod(missing)  # noqa: N815 - the driver's name

    monkeypatch.setattr(driver_calls, "driver", Driver)
    with pytest.raises(DeviceError, match=match):
        driver_calls.call("cuInit", 0)


def test_an_old_driver_is_told_at_every_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from plugrt.plugins.native.cuda import devices

    answers = {"cuInit": None, "cuDriverGetVersion": 11080}
    monkeypatch.setattr(devices, "call", lambda name, *rest, **more: answers[name])
    for cached in (devices.initialize, devices.unavailable_reason):
        cached.cache_clear()
    try:
        with pytest.raises(DeviceError, match=r"supports CUDA 11\.8; plugrt needs 12\.2"):
            CudaDevice().check()
        assert cuda.device_count() == 0
        assert not cudnn.available()
    finally:
        for cached in (devices.initialize, devices.unavailable_reason):
            cached.cache_clear()


def test_without_cudnn_a_build_tells_and_runs_own_kernels(driver: FakeDriver) -> None:
    network = Network("convolution")
    x = network.add_input("x", "float32", [1, 8, 6, 6])
    weights = np.ones((8, 8, 3, 3), np.float32)
    network.mark_output(network.add_convolution(x, weights).output, "y")
    cudnn.unavailable_reason.cache_clear()
    try:
        with plugrt.build(network, BuilderConfig(device="cuda", tune="off")) as engine:
            told = [line for line in engine.report if line.startswith("cuDNN is not used: ")]
            assert len(told) == 1
            assert "nvidia-cudnn" in told[0]
            assert "Convolutions run by plugrt's own kernels" in told[0]
            (layer,) = [
                one for one in engine.planned.network.layers if one.plugin.type == "Convolution"
            ]
            assert layer.plugin.tactic.name == "cuda:direct"
            assert not layer.on_host
    finally:
        cudnn.unavailable_reason.cache_clear()


def test_a_library_that_is_not_found_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def load_nvidia_dynamic_lib(name: str) -> None:
            raise RuntimeError(f'Failure finding "lib{name}.so": No such file: lib{name}.so\nmore')

    monkeypatch.setattr(libraries, "pathfinder", Finder)
    with pytest.raises(DeviceError) as caught:
        libraries.library_path.__wrapped__("cudnn")
    assert str(caught.value).startswith(
        'cudnn cannot be loaded (Failure finding "libcudnn.so"); install nvidia-cudnn-cu13'
    )


# ---- kernels for other GPUs, layers for GPUs alone ----------------------------------------------


class ForOthers(LayerPlugin):
    """A layer whose kernel is written for one generation."""

    type = "Test.ForOthers"
    devices = ("cuda",)
    recordable = True
    kernel = CudaKernel(SOURCE, "scale<float>", "TTqf", architectures=["sm_75"])

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        stream.launch_grid(self.kernel, [1], [64], inputs[0], outputs[0], 16, 2.0)


def test_a_kernel_for_other_architectures_names_both(driver: FakeDriver) -> None:
    with (
        built(ForOthers()) as engine,
        engine.create_context() as context,
        pytest.raises(DeviceError, match=r"layer0.*sample_layers.cu: scale<float>.* is written "
                      r"for sm_75 and GPU 0 is sm_99; use another tactic"),
    ):  # fmt: skip
        context.execute({"x": numbers()})


def test_a_layer_for_gpus_alone_is_refused_by_a_build_for_the_cpu() -> None:
    with pytest.raises(
        DeviceError,
        match=r"layer 'layer0' \(Test.ForOthers\) has kernels for cuda alone; it cannot run on the "
        "host: build for the device 'cuda'",
    ):
        built(ForOthers(), device="cpu")


def test_a_layer_for_gpus_alone_that_takes_nothing_there_is_refused(driver: FakeDriver) -> None:
    class Picky(ForOthers):
        type = "Test.Picky"

        def supportsFormat(self, combination: Any) -> bool:
            return False

    with pytest.raises(DeviceError, match="which take none of its tensors on 'cuda'"):
        built(Picky())


# ---- plans from elsewhere -----------------------------------------------------------------------

LOAD = """
import sys, warnings
import numpy as np
import plugrt

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    engine = plugrt.Engine.load(sys.argv[1])
assert any("for the device 'cuda'" in str(one.message) for one in told), told
with engine, engine.create_context() as context:
    image, wanted = np.load(sys.argv[2]), np.load(sys.argv[3])
    print(engine.device, np.abs(context.execute({"x": image})["y"] - wanted).max() < 2e-2)
"""


@pytest.mark.skipif(cuda.available(), reason="a GPU is present")
def test_a_plan_for_a_gpu_runs_on_a_machine_without_one(driver: FakeDriver, tmp_path: Path) -> None:
    network = Network("half")
    x = network.add_input("x", "float32", [2, 8, 6, 6])
    weights = np.random.default_rng(0).standard_normal((8, 8, 3, 3), np.float32) / 9
    y = network.add_convolution(x, weights, padding=(1, 1, 1, 1)).output
    network.mark_output(network.add_leaky_relu(y).output, "y")
    with plugrt.build(
        network, BuilderConfig(device="cuda", tune="off", precision="fp16")
    ) as engine:
        assert engine.device == "cuda"
        engine.save(tmp_path / "gpu.plan")
    image = np.random.default_rng(1).standard_normal((2, 8, 6, 6), np.float32)
    np.save(tmp_path / "x.npy", image)
    np.save(tmp_path / "y.npy", np.asarray(network.reference([image])[0]))
    files = [str(tmp_path / name) for name in ("gpu.plan", "x.npy", "y.npy")]
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *files], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["cpu", "True"], done.stderr


# ---- layouts that do not fit --------------------------------------------------------------------


class Sizes:
    """A driver whose function has parameters of 8, 8 and 4 bytes."""

    def cuFuncGetParamInfo(self, handle: object, index: int) -> tuple[int, int, int]:  # noqa: N802
        sizes = (8, 8, 4)
        return (0, 0, sizes[index]) if index < len(sizes) else (1, 0, 0)


class Counting(Sizes):
    """One that tells their number, so that it need not be asked for one too many."""

    def cuFuncGetParamCount(self, handle: object) -> tuple[int, int]:  # noqa: N802
        return 0, 3

    def cuFuncGetParamInfo(self, handle: object, index: int) -> tuple[int, int, int]:  # noqa: N802
        assert index < 3
        return super().cuFuncGetParamInfo(handle, index)


class Older(Sizes):
    """One that is older than the bindings, which have the function."""

    def cuFuncGetParamCount(self, handle: object) -> tuple[int, int]:  # noqa: N802
        raise RuntimeError('Function "cuFuncGetParamCount" not found')


@pytest.mark.parametrize("driver", [Sizes, Counting, Older])
@pytest.mark.parametrize("layout", ["TTi", "TPf", "TTq"])
def test_a_layout_with_all_parameters_fits(
    layout: str, driver: type[Sizes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameter_check, "driver", driver)
    kernel = CudaKernel(SOURCE, "scale<float>", layout)
    parameter_check.check_parameters(1, kernel.parameter_sizes, kernel)


@pytest.mark.parametrize(
    ("layout", "listed"),
    [("TT", "8, 8"), ("T", "8"), ("TTii", "8, 8, 4, 4"), ("TiT", "8, 4, 8"), ("2q2i", "16, 8")],
)
def test_a_layout_that_lacks_a_parameter_is_refused(
    layout: str, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver would read behind what it is given."""
    kernel = CudaKernel(SOURCE, "scale<float>", layout)
    for driver in (Sizes, Counting):
        monkeypatch.setattr(parameter_check, "driver", driver)
        with pytest.raises(PluginError, match=f"parameters of {listed} bytes.* takes 8, 8, 4;"):
            parameter_check.check_parameters(1, kernel.parameter_sizes, kernel)
