"""Other libraries on the recorded stream: CuPy, Triton, PyTorch, cuda.core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugrt.core.devices.cuda.standalone import run_on_gpu
from plugrt.plugins import Stream

from .sample_layers import Scale

pytestmark = pytest.mark.cuda

X = np.arange(300, dtype=np.float32)


def test_cupy_records_on_the_stream() -> None:
    cupy: Any = pytest.importorskip("cupy")
    kernel = cupy.RawKernel(
        'extern "C" __global__ void twice(const float *x, float *y, int n)'
        "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = 2 * x[i]; }",
        "twice",
    )
    kernel.compile()

    class ByCupy(Scale):
        type = "Test.ByCupy"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            with cupy.cuda.ExternalStream(stream.handle):
                addresses = [np.uint64(stream.address(v)) for v in (inputs[0], outputs[0])]
                kernel((2,), (256,), (*addresses, np.int32(300)))

    np.testing.assert_array_equal(run_on_gpu(ByCupy(), [X])[0], 2 * X)


def test_torch_records_on_the_stream() -> None:
    torch: Any = pytest.importorskip("torch")
    from plugrt.core.devices.cuda.interchange import DeviceArray

    class ByTorch(Scale):
        type = "Test.ByTorch"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            x, y = (
                torch.as_tensor(DeviceArray(stream.address(v), v.shape, np.dtype(np.float32), 0))
                for v in (inputs[0], outputs[0])
            )
            with torch.cuda.stream(torch.cuda.ExternalStream(stream.handle)):
                torch.mul(x, 2, out=y)

    np.testing.assert_array_equal(run_on_gpu(ByTorch(), [X])[0], 2 * X)


def test_cuda_core_launches_on_the_stream() -> None:
    core: Any = pytest.importorskip("cuda.core")
    device = core.Device(0)
    device.set_current()
    program = core.Program(
        'extern "C" __global__ void twice(const float *x, float *y, int n)'
        "{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = 2 * x[i]; }",
        "c++",
        core.ProgramOptions(arch=f"sm_{device.arch}"),
    )
    kernel = program.compile("cubin").get_kernel("twice")

    class ByCudaCore(Scale):
        type = "Test.ByCudaCore"

        def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
            config = core.LaunchConfig(grid=2, block=256)
            own = core.Stream.from_handle(stream.handle)
            addresses = [stream.address(v) for v in (inputs[0], outputs[0])]
            core.launch(own, config, kernel, *addresses, np.int32(300))

    np.testing.assert_array_equal(run_on_gpu(ByCudaCore(), [X])[0], 2 * X)
