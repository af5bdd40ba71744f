"""Convolution in NumPy."""

from __future__ import annotations

import numpy as np

from ...plugins import Array
from ..sliding_window import SlidingWindow


def convolve(
    source: Array, weights: Array, bias: Array | None, window: SlidingWindow, groups: int
) -> Array:
    """[N, C, sizes...] with [M, C / groups, kernel...] (+ [M]) -> [N, M, sizes...].

    One matrix product per position of the kernel, accumulated in float64.
    """
    batch, channels = source.shape[:2]
    outputs = weights.shape[0]
    sizes = [int(n) for n in window.output_sizes("Convolution", source.shape[2:])]  # type: ignore[arg-type]
    padded = window.pad(source.astype(np.float64), sizes, 0.0)
    filters = weights.astype(np.float64).reshape(groups, outputs // groups, channels // groups, -1)
    total = np.zeros((batch, groups, outputs // groups, int(np.prod(sizes))))
    for position, view in enumerate(window.views(padded, sizes)):
        points = view.reshape(batch, groups, channels // groups, -1)
        total += filters[..., position] @ points
    result = total.reshape(batch, outputs, *sizes)
    if bias is not None:
        result += bias.astype(np.float64).reshape(-1, *[1] * len(sizes))
    return result.astype(source.dtype)
