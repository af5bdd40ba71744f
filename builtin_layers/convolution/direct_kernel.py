"""Convolution by our own C kernel for every case in float32, with gaps in and out.

It takes any case, linear or channels-last, and serves first layers and machines without oneDNN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...plugins import Array, Format, Stream, Tactic, TensorDesc, TensorView
from .. import kernels
from ..activation import Activation, activation_of
from ..sliding_window import spatial_in_three_dimensions
from .problem import Candidate, ConvolutionProblem, constant_weights

DIRECT = "direct"

LAYOUT = "TTTT" + "i" * 6 + "3i3i" + "3i3i3i3i" + "i3f" + "5q5q"
"""struct direct_arguments in direct.h."""

FEW_CHANNELS = 4
"""Up to so many input channels the direct kernel may beat oneDNN."""

FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)


class DirectConvolution(Candidate):
    """The loops of direct.c."""

    def __init__(self, problem: ConvolutionProblem, activation: Activation) -> None:
        self._problem = problem
        self._activation = activation
        first = frozenset({0})
        self.tactic = Tactic(DIRECT, strided_inputs=first, strided_outputs=first)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem = self._problem
        source, weights = inputs[0], inputs[1]
        groups = problem.groups
        block = block_size(output.shape[1] // groups)
        packed = stream.store.pack(
            ("convolution weights", weights.digest, groups, block),
            lambda: _packed(weights.desc, groups, block),
        )
        has_bias = problem.bias is not None
        window = problem.window.in_three_dimensions()
        stream.launch(
            kernels.kernel("plugrt_convolution_direct", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output,
            int(has_bias), block, source.shape[0], groups,
            source.shape[1] // groups, output.shape[1] // groups,
            spatial_in_three_dimensions(source.shape[2:], 1),
            spatial_in_three_dimensions(output.shape[2:], 1),
            window.kernel, window.strides, window.dilations, window.before,
            self._activation.kind, self._activation.parameters,
            _strides(source.desc), _strides(output.desc),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, alone: bool) -> Iterator[DirectConvolution]:
    """The kernel if it fits; not `alone` only where it has a chance to be the fastest."""
    activation = activation_of(problem.epilogue)
    if (
        not kernels.available()
        or activation is None
        or not problem.is_float32
        or not problem.weights.is_constant
        or problem.source.format not in FORMATS
        or problem.output.format not in FORMATS
    ):
        return
    channels = problem.source.sizes[1]
    if alone or (problem.groups == 1 and channels <= FEW_CHANNELS):
        yield DirectConvolution(problem, activation)


def block_size(outputs: int) -> int:
    """Output channels that the kernel computes side by side."""
    return 8 if outputs <= 8 else 16


def pack(weights: Array, groups: int, block: int) -> Array:
    """[M, C / groups, kernel...] -> [groups, blocks, kernel, C / groups, block], zeros at the end
    of each group's last block."""
    outputs, channels = weights.shape[:2]
    per_group = outputs // groups
    blocks = -(-per_group // block)
    plain = weights.reshape(groups, per_group, channels, -1).astype(np.float32)
    padded = np.zeros((groups, blocks * block, *plain.shape[2:]), np.float32)
    padded[:, :per_group] = plain
    split = padded.reshape(groups, blocks, block, channels, -1)
    return np.ascontiguousarray(split.transpose(0, 1, 4, 3, 2))


def _packed(weights: TensorDesc, groups: int, block: int) -> Array:
    return pack(constant_weights(weights), groups, block)


def _strides(desc: TensorDesc) -> tuple[int, ...]:
    per_image, per_channel, *spatial = desc.element_strides
    return (per_image, per_channel, *spatial_in_three_dimensions(spatial, 0))
