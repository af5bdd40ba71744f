"""Types and scales of a convolution of 8-bit values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from plugrt.plugins import Array, DataType, Quantization, TensorDesc
from plugrt.plugins.native import onednn

from .problem import Problem

STORED = (DataType.INT8, DataType.UINT8)

LEAST_SCALE = 1e-12
"""For filters that are all zero."""


@dataclass
class Scales:
    """Scales and zero points as oneDNN takes them: masks, and arrays to bind."""

    scales: list[tuple[int, int]] = field(default_factory=list)
    zero_points: list[tuple[int, int]] = field(default_factory=list)
    arrays: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem, channel_mask: int) -> Scales:
        """Those of a problem; `channel_mask` marks the output channels in the weights' dims."""
        found = cls()
        for argument, desc, mask in (
            (onednn.Argument.SRC, problem.source, 0),
            (onednn.Argument.WEIGHTS, problem.weights, channel_mask),
            (onednn.Argument.DST, problem.output, 0),
        ):
            stored = desc.quantization
            if stored is None:
                continue
            found.scales.append((argument, mask if len(stored.scale) > 1 else 0))
            found.arrays[onednn.scales_of(argument)] = np.array(stored.scale, np.float32)
            if any(stored.zero_point):
                found.zero_points.append((argument, 0))
                zeros = np.array(stored.zero_point, np.int32)
                found.arrays[onednn.zero_points_of(argument)] = zeros
        return found

    def attributes(self, operations: tuple[onednn.PostOp, ...]) -> onednn.Attributes:
        """Of the primitive."""
        return onednn.Attributes(operations, tuple(self.scales), tuple(self.zero_points))


def fits(source: TensorDesc, weights: TensorDesc, output: TensorDesc) -> bool:
    """Whether this is an 8-bit convolution that oneDNN has: one scale per activation, int8
    weights without zero points with one scale, or one per filter; float32 may come out."""
    filters = weights.quantization
    if source.dtype not in STORED or weights.dtype is not DataType.INT8 or filters is None:
        return False
    if filters.axis not in (None, 0) or any(filters.zero_point):
        return False
    stored = [desc for desc in (source, output) if desc.dtype in STORED]
    if any(desc.quantization is None or desc.quantization.axis is not None for desc in stored):
        return False
    is_float = output.dtype is DataType.FLOAT32 and output.quantization is None
    return is_float or output.dtype in STORED


def scales_of_filters(weights: Array) -> Quantization:
    """A symmetric int8 scale for each filter."""
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1, initial=0.0)
    return Quantization.of(np.maximum(largest.astype(np.float64) / 127, LEAST_SCALE), 0, axis=0)
