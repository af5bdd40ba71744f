"""What begins early behind our kernels: our own do, those of others do not."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from plugrt.core.devices.cuda import CudaRecording, CudaSlots, CudaStream, DeviceWeights
from plugrt.core.devices.cuda.graphs import Graph
from plugrt.core.devices.cuda.memory import DeviceBuffer
from plugrt.plugins import DataType, TensorDesc, TensorView
from plugrt.plugins.native.cuda import Context, CudaKernel, CudaSource
from plugrt.plugins.native.cuda.driver_calls import call
from plugrt.plugins.native.cuda.early_starts import early_launch
from plugrt.plugins.native.cuda.packages import driver

pytestmark = pytest.mark.cuda

COUNT = 128
DESC = TensorDesc(DataType.FLOAT32, (COUNT,))

SLOW = """
extern "C" __global__ void slow(const float *from, float *to)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    const long long end = clock64() + 400000;
    while (clock64() < end) { }
    to[threadIdx.x] = from[threadIdx.x] + 1;
}
"""

HASTY = """
extern "C" __global__ void hasty(const float *from, float *to)
{
    to[threadIdx.x] = 2 * from[threadIdx.x];
}
"""


def test_a_kernel_of_others_waits_for_one_that_lets_it_begin() -> None:
    """It is launched so that it may begin early, and does not wait itself."""
    context = Context.of(0)
    slots = CudaSlots(DeviceWeights(context))
    x = np.arange(COUNT, dtype=np.float32)
    source = TensorView(DESC, slots.bind(DeviceBuffer.of(context, x)))
    between = TensorView(DESC, slots.bind(DeviceBuffer.of(context, np.zeros_like(x))))
    result = DeviceBuffer.of(context, np.zeros_like(x))
    slow = CudaKernel(CudaSource(SLOW, "slow.cu"), "slow", "TT", overlaps=True)
    code = CudaKernel(CudaSource(HASTY, "hasty.cu"), "hasty", "TT")
    with context.current():
        module = call("cuModuleLoadData", code.compile(context.properties.architecture))
        hasty = call("cuModuleGetFunction", module, b"hasty")

    def record(stream: CudaStream) -> None:
        stream.begin_layer("slow")
        stream.launch_grid(slow, (1,), (COUNT,), source, between)
        stream.begin_layer("hasty")
        values = [ctypes.c_uint64(a) for a in (stream.address(between), result.address)]
        pointers = (ctypes.c_void_p * 2)(*map(ctypes.addressof, values))
        config = early_launch((1, 1, 1), (COUNT, 1, 1), 0, stream.handle)
        (error,) = driver().cuLaunchKernelEx(config, hasty, ctypes.addressof(pointers), 0)
        assert not int(error)

    recording = CudaRecording(context, slots, record)
    for _ in range(3):
        recording.replay()
    recording.synchronize()
    np.testing.assert_array_equal(result.read().view(np.float32), 2 * (x + 1))
    (graph,) = recording.instance().steps
    assert isinstance(graph, Graph)
    assert (graph.nodes, graph.edges) == (2, 1)
