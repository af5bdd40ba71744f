"""Scales and zero points of quantised products, as oneDNN takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..plugins import Array, DataType, Quantization, TensorDesc

if TYPE_CHECKING:
    from ..plugins.native.onednn import Attributes, PostOp

EIGHT_BITS = (DataType.INT8, DataType.UINT8)

LEAST_SCALE = 1e-12
"""Scale of a channel whose weights are all zero."""


@dataclass
class QuantisedArguments:
    """Masks for a primitive's attributes, and the values to bind."""

    scales: list[tuple[int, int]] = field(default_factory=list)
    zero_points: list[tuple[int, int]] = field(default_factory=list)
    bindings: dict[int, Array] = field(default_factory=dict)

    def attributes(self, post_ops: tuple[PostOp, ...]) -> Attributes:
        """The primitive's attributes."""
        from ..plugins.native.onednn import Attributes

        return Attributes(post_ops, tuple(self.scales), tuple(self.zero_points))

    def add(self, argument: int, quantization: Quantization | None, mask: int = 0) -> None:
        """Scales, and zero points where they are not 0, of one argument."""
        from ..plugins.native.onednn import scales_of, zero_points_of

        if quantization is None:
            return
        per_index = len(quantization.scale) > 1
        self.scales.append((argument, mask if per_index else 0))
        self.bindings[scales_of(argument)] = np.array(quantization.scale, np.float32)
        if any(quantization.zero_point):
            self.zero_points.append((argument, 0))
            self.bindings[zero_points_of(argument)] = np.array(quantization.zero_point, np.int32)


def quantised_arguments(
    source: TensorDesc, weights: TensorDesc, output: TensorDesc, weights_mask: int
) -> QuantisedArguments:
    """For source, weights (one scale per index of the dimensions in `weights_mask`, or one in
    all) and destination; nothing for those that are not quantised."""
    from ..plugins.native.onednn import Argument

    found = QuantisedArguments()
    found.add(Argument.SRC, source.quantization)
    found.add(Argument.WEIGHTS, weights.quantization, weights_mask)
    found.add(Argument.DST, output.quantization)
    return found


def is_quantised(source: TensorDesc, weights: TensorDesc, output: TensorDesc) -> bool:
    """Whether these are types and scales of a product in 8 bits.

    Activations have one scale, weights are int8 without zero points, with one scale or one per
    output channel (axis 0); the output is in 8 bits too, or float32.
    """
    kind = weights.quantization
    eight_bit_result = output.dtype in EIGHT_BITS
    return (
        source.dtype in EIGHT_BITS
        and _has_one_scale(source)
        and weights.dtype is DataType.INT8
        and kind is not None
        and kind.axis in (None, 0)
        and not any(kind.zero_point)
        and (eight_bit_result or output.dtype is DataType.FLOAT32)
        and (_has_one_scale(output) if eight_bit_result else output.quantization is None)
    )


def is_float8(source: TensorDesc, weights: TensorDesc, output: TensorDesc) -> bool:
    """Whether these are types and scales of a product of 8-bit floats: activations and weights
    with one scale each, weights perhaps one per output channel; the output is such too, or wider.
    """
    kind = weights.quantization
    return (
        source.dtype is weights.dtype is DataType.FLOAT8_E4M3FN
        and _has_one_scale(source)
        and kind is not None
        and kind.axis in (None, 0)
        and (
            _has_one_scale(output) if output.dtype is DataType.FLOAT8_E4M3FN
            else output.quantization is None
            and output.dtype in (DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16)
        )
    )


def weights_quantization(weights: Array) -> Quantization:
    """Symmetric scales per output channel of float weights [M, ...], for int8."""
    reach = np.abs(weights.reshape(weights.shape[0], -1)).max(axis=1, initial=0.0)
    scales = np.maximum(reach.astype(np.float64) / 127, LEAST_SCALE)
    return Quantization.of(scales, 0, axis=0)


def _has_one_scale(desc: TensorDesc) -> bool:
    return desc.quantization is not None and desc.quantization.axis is None
