"""Layers that the tests record on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import LayerPlugin, Shape, Stream, TensorDesc, attribute
from plugrt.plugins.native.cuda import CudaKernel, CudaSource

SOURCE = CudaSource(
    """
    struct four { long long v[4]; };

    template <typename T>
    __global__ void scale(const T *x, T *y, long long count, float factor)
    {
        long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
        if (i < count)
            y[i] = x[i] * factor;
    }

    extern "C" __global__ void sum_of_four(four values, float *y)
    {
        y[threadIdx.x] = values.v[0] + values.v[1] + values.v[2] + values.v[3];
    }

    extern "C" __global__ void through_shared(const float *x, float *y, int count)
    {
        extern __shared__ float kept[];
        for (int i = threadIdx.x; i < count; i += blockDim.x)
            kept[i] = x[i];
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += blockDim.x)
            y[i] = kept[count - 1 - i];
    }

    extern "C" __global__ void leave_memory(float *y) { y[1ll << 50] = 1; }
    """,
    "sample_layers.cu",
)

SCALE = CudaKernel(SOURCE, "scale<float>", "TTqf")
SUM_OF_FOUR = CudaKernel(SOURCE, "sum_of_four", "4qT")
THROUGH_SHARED = CudaKernel(SOURCE, "through_shared", "TTi")


class Scale(LayerPlugin):
    """x times a factor."""

    type = "Test.CudaScale"
    devices = ("cuda",)
    recordable = True
    factor = attribute(float, 2.0, "factor")

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        count = int(np.prod(inputs[0].shape))
        stream.launch_grid(
            SCALE, [-(-count // 256)], [256], inputs[0], outputs[0], count, self.factor
        )


class HostIncrement(LayerPlugin):
    """x + 1, in Python."""

    type = "Test.HostIncrement"

    def getOutputDimensions(self, index: int, inputs: Any) -> Shape:
        return tuple(inputs[0].shape)

    def enqueue(self, inputs: Any, outputs: Any, workspace: Any, stream: Stream) -> None:
        outputs[0][...] = inputs[0] + 1


def described(array: Any) -> TensorDesc:
    """A LINEAR description of an array."""
    from plugrt.plugins import DataType

    return TensorDesc(DataType.of(array.dtype), array.shape)
