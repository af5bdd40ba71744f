"""Depthwise convolution by our own C kernels in float32 and bfloat16 (depthwise.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...plugins import BLOCK, Array, DataType, Format, TensorView
from .block_epilogue import block_strides
from .block_kernel import BlockKernel, has_float32_bias, multiplies_pairs
from .problem import ConvolutionProblem

PLAIN = "depthwise"
PAIRS = "depthwise:pairs"
NAMES = (PLAIN, PAIRS)

FORMATS = (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16)

PAIR_BLOCK = 2 * BLOCK
"""Channels of a step of depthwise_pairs.h."""

PAIRED_WINDOWS = ((3, 3), (5, 5))

PAIRED_STRIDES = (1, 2)

MOST_BLOCKS = 16
"""Blocks of channels of one task: their weights stay in the first-level cache."""


class DepthwiseConvolution(BlockKernel):
    """The loops of depthwise_row.h or depthwise_pairs.h."""

    kernel = "plugrt_convolution_depthwise"
    layout = "i" * 5 + "2i2i" + "2i2i2i" + "4q4q"

    @staticmethod
    def names(problem: ConvolutionProblem) -> Sequence[str]:
        """Both, as far as they fit."""
        if not _fits(problem):
            return ()
        return (PAIRS, PLAIN) if _fits_pairs(problem) else (PLAIN,)

    def pack(self, weights: Array) -> Array:
        return pack_pairs(weights) if self.tactic.name == PAIRS else pack(weights)

    def arguments(self, source: TensorView, output: TensorView) -> Sequence[Any]:
        window = self._problem.window
        return (
            int(source.dtype is DataType.BFLOAT16), int(self.tactic.name == PAIRS),
            source.shape[0], source.shape[1], blocks_per_task(self._problem),
            source.shape[2:], output.shape[2:], window.kernel, window.strides, window.before,
            block_strides(source.desc), block_strides(output.desc),
        )  # fmt: skip


candidates = DepthwiseConvolution.candidates


def blocks_per_task(problem: ConvolutionProblem) -> int:
    """How many blocks of channels one task computes of a row: one where each lies on its own,
    else as many as leave every thread enough to do; an even number."""
    if problem.source.format is Format.CHANNELS_BLOCKED_16:
        return 1
    batch, channels, rows, _ = problem.output.sizes
    count = MOST_BLOCKS
    while count > 2 and batch * rows * -(-channels // (count * BLOCK)) < 2 * problem.threads:
        count //= 2
    return count


def pack(weights: Array) -> Array:
    """[C, 1, height, width] -> [height, width, C] in float32, zeros up to a whole block."""
    return _by_tap(weights, BLOCK).astype(np.float32)


def pack_pairs(weights: Array) -> Array:
    """[C, 1, height, width] -> the order that depthwise_pairs.h tells, as bits of bfloat16."""
    taps = _by_tap(weights, PAIR_BLOCK)
    height, width, channels = taps.shape
    even = np.zeros((height + height % 2, width, channels), DataType.BFLOAT16.numpy)
    even[:height] = taps
    split = even.reshape(-1, 2, width, channels // PAIR_BLOCK, 4, 2, 4)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 5, 4, 6, 1)).view(np.uint16)


def _by_tap(weights: Array, block: int) -> Array:
    channels, _, height, width = weights.shape
    taps = np.zeros((height, width, -(-channels // block) * block), weights.dtype)
    taps[..., :channels] = weights[:, 0].transpose(1, 2, 0)
    return taps


def _fits(problem: ConvolutionProblem) -> bool:
    source, output = problem.source, problem.output
    is_bfloat16 = problem.is_narrow and source.dtype is output.dtype is DataType.BFLOAT16
    return (
        (problem.is_float32 or is_bfloat16)
        and has_float32_bias(problem)
        and problem.weights.is_constant
        and problem.is_depthwise
        and source.rank == 4
        and problem.window.dilations == (1, 1)
        and source.format is output.format
        and source.format in FORMATS
        and 0 not in (*source.sizes, *output.sizes)
    )


def _fits_pairs(problem: ConvolutionProblem) -> bool:
    window = problem.window
    return (
        problem.source.dtype is DataType.BFLOAT16
        and problem.source.format is Format.CHANNELS_LAST
        and problem.source.sizes[1] % 2 == 0
        and window.kernel in PAIRED_WINDOWS
        and window.strides[1] in PAIRED_STRIDES
        and multiplies_pairs()
    )
