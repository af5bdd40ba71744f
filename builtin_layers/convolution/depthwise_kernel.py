"""Depthwise convolution by our own C kernels in float32 and bfloat16 (depthwise.h)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...plugins import BLOCK, Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from .. import kernels
from . import block_epilogue as epilogues
from .block_epilogue import BlockEpilogue, block_epilogue, block_strides
from .problem import Candidate, ConvolutionProblem

PLAIN = "depthwise"
PAIRS = "depthwise:pairs"
NAMES = (PLAIN, PAIRS)

LAYOUT = "TTTT" + "i" * 6 + "2i2i" + "2i2i2i" + "4q4q" + epilogues.LAYOUT
"""struct depthwise_arguments in depthwise.h."""

FORMATS = (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16)

PAIR_BLOCK = 2 * BLOCK
"""Channels of a step of depthwise_pairs.h."""

PAIRED_WINDOWS = ((3, 3), (5, 5))

PAIRED_STRIDES = (1, 2)

MOST_BLOCKS = 16
"""Blocks of channels of one task: their weights stay in the first-level cache."""


class DepthwiseConvolution(Candidate):
    """The loops of depthwise_row.h or depthwise_pairs.h."""

    def __init__(self, problem: ConvolutionProblem, epilogue: BlockEpilogue, name: str) -> None:
        self._problem = problem
        self._epilogue = epilogue
        first = frozenset({0})
        self.tactic = Tactic(name, strided_inputs=first, strided_outputs=first)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, window = self._problem, self._problem.window
        source, weights = inputs[0], inputs[1]
        in_pairs = self.tactic.name == PAIRS
        packed = stream.store.pack(
            (self.tactic.name, weights.digest), lambda: _packed(weights.desc, in_pairs)
        )
        has_bias = problem.bias is not None
        stream.launch(
            kernels.kernel("plugrt_convolution_depthwise", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output, int(has_bias),
            int(source.dtype is DataType.BFLOAT16), int(in_pairs), source.shape[0],
            source.shape[1], blocks_per_task(problem), source.shape[2:], output.shape[2:],
            window.kernel, window.strides, window.before,
            block_strides(source.desc), block_strides(output.desc),
            *self._epilogue.arguments(stream, inputs, output, packed),
        )  # fmt: skip


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[DepthwiseConvolution]:
    """The way with the tactic's name; without one both, as far as they fit."""
    if not kernels.available() or not _fits(problem):
        return
    epilogue = block_epilogue(problem.epilogue, problem.inputs, problem.output, sums=False)
    if epilogue is None:
        return
    if tactic in (None, PAIRS) and _fits_pairs(problem):
        yield DepthwiseConvolution(problem, epilogue, PAIRS)
    if tactic in (None, PLAIN):
        yield DepthwiseConvolution(problem, epilogue, PLAIN)


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


def _packed(weights: TensorDesc, in_pairs: bool) -> Array:
    if weights.value is None:
        raise ValueError("weights that are packed must be constant")
    return pack_pairs(weights.value) if in_pairs else pack(weights.value)


def _fits(problem: ConvolutionProblem) -> bool:
    source, output, bias = problem.source, problem.output, problem.bias
    is_bfloat16 = problem.is_narrow and source.dtype is output.dtype is DataType.BFLOAT16
    return (
        (problem.is_float32 or is_bfloat16)
        and (bias is None or bias.dtype is DataType.FLOAT32)
        and problem.weights.is_constant
        and problem.is_depthwise
        and source.rank == 4
        and problem.window.dilations == (1, 1)
        and source.format is output.format
        and source.format in FORMATS
        and 0 not in (*source.sizes, *output.sizes)
    )


def _fits_pairs(problem: ConvolutionProblem) -> bool:
    from ...plugins.native import cpu

    window = problem.window
    return (
        problem.source.dtype is DataType.BFLOAT16
        and problem.source.format is Format.CHANNELS_LAST
        and problem.source.sizes[1] % 2 == 0
        and window.kernel in PAIRED_WINDOWS
        and window.strides[1] in PAIRED_STRIDES
        and {"avx512bf16", "avx512bw", "avx512vl"} <= cpu.features()
    )
