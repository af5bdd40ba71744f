"""Moving values by convolutions whose kernels hold a single 1 per output.

They are exact: every result is one value times 1, plus zeros.
"""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array

from .conversion import Conversion


def add_repeated_channel(layer: Conversion, blob: str, suffix: str, count: int) -> str:
    """A blob of one channel, `count` times."""
    kernel = np.ones((count, 1, 1, 1), np.float32)
    return layer.add(
        "Convolution", [blob], suffix, weights=(kernel,), num_output=count, bias_term=False,
        kernel_size=[1],
    )  # fmt: skip


def block_kernel(channels: int, stride: int) -> Array:
    """The kernel [channels s^2, channels, s, s] that sends the pixel at row b, column d of
    every block of channel c to channel (b s + d) channels + c."""
    kernel = np.zeros((stride, stride, channels, channels, stride, stride), np.float32)
    c = np.arange(channels)
    for row in range(stride):
        for column in range(stride):
            kernel[row, column, c, c, row, column] = 1
    return kernel.reshape(channels * stride**2, channels, stride, stride)
