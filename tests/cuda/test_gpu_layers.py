"""Layers with kernels of their own, one at a time on a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plugrt import Registry
from plugrt.core.devices.cuda.standalone import prepare_on_gpu, run_on_gpu
from plugrt.plugins import (
    DeviceError,
    Format,
    Kernel,
    PluginError,
    Stream,
)
from plugrt.plugins.native import cuda

from .sample_layers import (
    SCALE,
    SOURCE,
    SUM_OF_FOUR,
    THROUGH_SHARED,
    HostIncrement,
    Scale,
    described,
)

pytestmark = pytest.mark.cuda

RANDOM = np.random.default_rng(5)


def test_a_kernel_computes() -> None:
    x = RANDOM.standard_normal((3, 5, 7), np.float32)
    (y,) = run_on_gpu(Scale(factor=3.0), [x])
    np.testing.assert_array_equal(y, x * np.float32(3))


def test_formats_and_strides_are_laid_out() -> None:
    x = RANDOM.standard_normal((2, 4, 3, 5), np.float32)
    desc = replace(described(x), format=Format.CHANNELS_LAST)
    (y,) = run_on_gpu(Scale(), [x], inputs=[desc], outputs=[desc])
    np.testing.assert_array_equal(y, 2 * x)


def test_a_struct_of_numbers_is_passed_by_value() -> None:
    class Sum(Scale):
        type = "Test.SumOfFour"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            stream.launch_grid(SUM_OF_FOUR, [1], [4], [1, 20, 300, 4000], outputs[0])

    (y,) = run_on_gpu(Sum(), [np.zeros(4, np.float32)])
    np.testing.assert_array_equal(y, np.full(4, 4321, np.float32))


def test_large_shared_memory_is_allowed_or_refused_with_the_limit() -> None:
    class Reverse(Scale):
        type = "Test.Reverse"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            count = inputs[0].shape[0]
            stream.launch_grid(
                THROUGH_SHARED, [1], [256], inputs[0], outputs[0], count, shared_bytes=4 * count
            )

    x = RANDOM.standard_normal(15_000, np.float32)  # 60,000 bytes: above the default limit
    np.testing.assert_array_equal(run_on_gpu(Reverse(), [x])[0], x[::-1])
    with pytest.raises(DeviceError, match=r"2,000,000 bytes of shared memory.*has \d"):
        run_on_gpu(Reverse(), [np.zeros(500_000, np.float32)])


def test_an_impossible_launch_names_kernel_and_sizes() -> None:
    class Wide(Scale):
        type = "Test.Wide"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            stream.launch_grid(SUM_OF_FOUR, [1], [4096], [0, 0, 0, 0], outputs[0])

    with pytest.raises(DeviceError, match=r"sum_of_four\) with grid .* block \(4096, 1, 1\)"):
        run_on_gpu(Wide(), [np.zeros(4, np.float32)])


def test_kernels_of_the_cpu_are_refused() -> None:
    class Wrong(Scale):
        type = "Test.Wrong"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            stream.launch(Kernel(1, "TT", "wrong"), inputs[0], outputs[0])

    with pytest.raises(PluginError, match="runs on the CPU"):
        run_on_gpu(Wrong(), [np.zeros(4, np.float32)])


def test_a_python_layer_runs_on_the_host() -> None:
    x = RANDOM.standard_normal((3, 4), np.float32)
    np.testing.assert_array_equal(run_on_gpu(HostIncrement(), [x])[0], x + 1)


@pytest.mark.parametrize("layout", [Format.LINEAR, Format.CHANNELS_LAST])
def test_a_layer_with_cpu_kernels_alone_runs_on_the_host(layout: Format) -> None:
    class OnlyOnCpu(Registry.default().get("layers", "Convolution")):  # type: ignore[misc]
        type = "Test.OnlyOnCpu"
        devices = ("cpu",)

    x = RANDOM.standard_normal((2, 16, 6, 5), np.float32)
    w = RANDOM.standard_normal((32, 16, 3, 3), np.float32)
    plugin = OnlyOnCpu(padding=(1, 1, 1, 1))
    (wanted,) = plugin.reference([x, w])
    descs = [replace(described(x), format=layout), described(w)]
    target = replace(described(wanted), format=layout)
    (found,) = run_on_gpu(plugin, [x, w], inputs=descs, outputs=[target], constants=[1])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_after_a_failed_recording_the_next_one_works() -> None:
    class Failing(Scale):
        type = "Test.Failing"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            super().enqueue(inputs, outputs, workspace, stream)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_on_gpu(Failing(), [np.ones(4, np.float32)])
    np.testing.assert_array_equal(run_on_gpu(Scale(), [np.ones(4, np.float32)])[0], [2, 2, 2, 2])


def test_packed_weights_are_on_the_gpu_once() -> None:
    made = []

    class Packed(Scale):
        type = "Test.Packed"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            def make() -> Any:
                made.append(1)
                return np.arange(4, dtype=np.float32)

            weights = stream.store.pack(("test", 4), make)
            again = stream.store.pack(("test", 4), make)
            assert stream.address(weights) == stream.address(again)
            stream.launch_grid(SCALE, [1], [4], weights, outputs[0], 4, 1.0)

    (y,) = run_on_gpu(Packed(), [np.zeros(4, np.float32)])
    np.testing.assert_array_equal(y, [0, 1, 2, 3])
    assert made == [1]


def test_constants_are_uploaded_when_a_layer_asks() -> None:
    x = RANDOM.standard_normal(9, np.float32)
    (y,) = run_on_gpu(Scale(), [x], constants=[0])
    np.testing.assert_array_equal(y, 2 * x)


def test_outputs_that_are_not_written_are_found() -> None:
    class Idle(Scale):
        type = "Test.Idle"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            return

    assert np.isnan(run_on_gpu(Idle(), [np.zeros(4, np.float32)])[0]).all()


def test_times_are_of_the_gpu() -> None:
    x = np.zeros(32 << 20, np.float32)
    with prepare_on_gpu(Scale(), [x]) as small:
        whole = small.stopwatch()(3)
        cold = small.stopwatch(cold=True)(3)
    # 256 MB: between what no GPU reaches and what none is slower than.
    assert 256e6 / 20e12 < whole < 256e6 / 50e9
    assert 256e6 / 20e12 < cold < 256e6 / 50e9


def test_resources_of_a_kernel() -> None:
    resources = THROUGH_SHARED.resources()
    assert 0 < resources.registers <= 255
    assert resources.local_bytes == 0
    assert resources.threads_per_block == 1024
    assert THROUGH_SHARED.blocks_per_multiprocessor(256) >= 4


def test_a_kernel_for_other_architectures_is_refused() -> None:
    device = cuda.device_properties().architecture
    other = "sm_75" if device != "sm_75" else "sm_90"
    kernel = cuda.CudaKernel(SOURCE, "sum_of_four", "4qT", architectures=[other])
    assert not kernel.supports(device)
    with pytest.raises(DeviceError, match=f"written for {other}.*is {device}"):
        kernel.resources()


def test_too_much_memory_tells_the_bytes() -> None:
    from plugrt.core.devices.cuda.memory import DeviceBuffer

    with pytest.raises(DeviceError, match=r"allocate 4,398,046,511,104 bytes on GPU 0: .* free"):
        DeviceBuffer(cuda.Context.of(0), 1 << 42)


def test_an_absent_gpu_is_named() -> None:
    with pytest.raises(DeviceError, match="GPU 99 does not exist"):
        cuda.Context.of(99)



