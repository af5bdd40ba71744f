"""Convolution of a linear float32 tensor of few channels by our own C kernel (shallow.h): it
writes channels-last or blocked tensors, of float32 or bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plugins import Array, DataType, Format, TensorDesc, TensorView
from .block_epilogue import block_strides
from .block_kernel import BlockKernel, has_float32_bias, multiplies_pairs
from .problem import ConvolutionProblem

PLAIN = "shallow"
PAIRS = "shallow:pairs"
NAMES = (PLAIN, PAIRS)

MOST_CHANNELS = 4
"""With more input channels other kernels vectorise better."""

PANEL = 32
"""SHALLOW_PANEL."""

LINE_BYTES = 98304
"""SHALLOW_LINE_BYTES."""

LINE_STEP = 16
"""SHALLOW_LINE_STEP."""

SPARE_LINES = 2

OUTPUT_FORMATS = (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16)


class ShallowConvolution(BlockKernel):
    """The loops of shallow_row.h; in pairs the inputs and weights are rounded to bfloat16."""

    kernel = "plugrt_convolution_shallow"
    layout = "i" * 5 + "2i2i" + "2i2i2i" + "i" + "3q4q"

    @staticmethod
    def names(problem: ConvolutionProblem) -> Sequence[str]:
        """In pairs only where that loses nothing that the output could hold."""
        if not is_shallow(problem):
            return ()
        in_pairs = problem.output.dtype is DataType.BFLOAT16 and multiplies_pairs()
        return (PAIRS, PLAIN) if in_pairs else (PLAIN,)

    def pack(self, weights: Array) -> Array:
        return pack_pairs(weights) if self.tactic.name == PAIRS else pack(weights)

    def arguments(self, source: TensorView, output: TensorView) -> Sequence[Any]:
        window = self._problem.window
        per_image, per_channel, per_row, _ = source.desc.element_strides
        return (
            int(output.dtype is DataType.BFLOAT16), int(self.tactic.name == PAIRS),
            source.shape[0], source.shape[1], output.shape[1],
            source.shape[2:], output.shape[2:], window.kernel, window.strides, window.before,
            line_length(self._problem), (per_image, per_channel, per_row),
            block_strides(output.desc),
        )  # fmt: skip


candidates = ShallowConvolution.candidates


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Whether tensors of these types and formats are what the kernel is for."""
    return (
        source.dtype is weights.dtype is DataType.FLOAT32
        and output.dtype in (DataType.FLOAT32, DataType.BFLOAT16)
        and not any(desc.quantization for desc in (source, weights, output))
        and source.format is Format.LINEAR
        and output.format in OUTPUT_FORMATS
        and source.rank == 4
        and groups == 1
        and isinstance(source.shape[1], int)
        and source.shape[1] <= MOST_CHANNELS
    )


def is_shallow(problem: ConvolutionProblem) -> bool:
    """Whether the kernel computes this problem."""
    source, weights, output = problem.source, problem.weights, problem.output
    return (
        takes(source, weights, output, problem.groups)
        and weights.is_constant
        and has_float32_bias(problem)
        and problem.window.dilations == (1, 1)
        and 0 not in (*source.sizes, *output.sizes)
        and source.element_strides[3] == 1
        and problem.window.before[1] <= line_length(problem)
        and (_lines(problem) + SPARE_LINES) * line_length(problem) * 4 <= LINE_BYTES
    )


def line_length(problem: ConvolutionProblem) -> int:
    """Elements of an input row that a row of outputs sees, up to a whole step."""
    seen = (problem.output.sizes[3] - 1) * problem.window.strides[1] + problem.window.kernel[1]
    return -(-seen // LINE_STEP) * LINE_STEP


def pack(weights: Array) -> Array:
    """[M, C, height, width] -> [panel, C * height, width, 32] in float32."""
    outputs, channels, height, width = weights.shape
    panels = -(-outputs // PANEL)
    padded = np.zeros((panels * PANEL, channels * height, width), np.float32)
    padded[:outputs] = weights.reshape(outputs, channels * height, width)
    split = padded.reshape(panels, PANEL, channels * height, width)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 1))


def pack_pairs(weights: Array) -> Array:
    """[M, C, height, width] -> [panel, pair of C * height, width, 32, 2], as bits of bfloat16."""
    plain = pack(weights)
    panels, lines, width, _ = plain.shape
    even = np.zeros((panels, lines + lines % 2, width, PANEL), DataType.BFLOAT16.numpy)
    even[:, :lines] = plain
    split = even.reshape(panels, -1, 2, width, PANEL)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 4, 2)).view(np.uint16)


def _lines(problem: ConvolutionProblem) -> int:
    return problem.source.sizes[1] * problem.window.kernel[0]
