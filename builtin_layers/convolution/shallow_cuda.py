"""Convolution of images with few channels by our own CUDA kernel on the tensor cores.

It reads float32, 16-bit floats or bytes, linear or channels-last, and writes channels-last
16-bit floats: the first layer of a network and the conversion of its input in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul

import numpy as np

from ...plugins import Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from ...plugins.native.cuda.headers import divisors
from ..kernels_cuda import ACCESS_BYTES, kernel, pack_width, stored
from ..sliding_window import SlidingWindow
from .direct_cuda import FLOATS, DirectConvolution, epilogue_of, fuses
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:shallow:"

@dataclass(frozen=True)
class Share:
    """Warps of a block, rows that each computes, blocks that a multiprocessor must hold, and
    whether the three channels of a point lie without a gap."""

    warps: int
    rows: int
    blocks: int = 1
    dense: bool = False

    @property
    def name(self) -> str:
        """Such as 4x1, 4x2x8 where eight blocks fit, or dense-4x1."""
        sizes = f"{self.warps}x{self.rows}" + (f"x{self.blocks}" if self.blocks > 1 else "")
        return f"dense-{sizes}" if self.dense else sizes


WIDE_SHARES = (Share(4, 2, 4), Share(4, 1))
"""For blocks of 64 output channels, whose registers let too few blocks run at once; a good guess
first."""

NARROW_SHARES = (Share(4, 2), Share(4, 1))
"""For blocks of 32."""

DENSE_SHARES = (Share(4, 2, 4, dense=True),)
"""Further ones for three channels and even strides, where they save steps."""

MOST_CHANNELS = 4
"""Channels to a point in shared memory."""

SIDE = 16
"""Points of a row that a block computes."""

OUTPUTS = 8
"""Output channels in one tile of the matrix instruction, and in one access of a thread."""

SHARED_BYTES = 48 << 10

MOST_PLACES = 1 << 31
"""Elements of an image, with gaps: the kernel counts them in 31 bits."""

SOURCES = (*FLOATS, DataType.UINT8)
OUTPUT_TYPES = (DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

WITH_BFLOAT16 = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""Architectures whose tensor cores multiply bfloat16."""

FILE = "convolution/shallow.cu"
LAYOUT = "TTT2i4i2i6I4q4q"


class ShallowConvolution(Candidate):
    """The loops of shallow.cu."""

    def __init__(self, problem: ConvolutionProblem, share: Share) -> None:
        self._problem = problem
        self._share = share
        first = frozenset({0})
        self.tactic = Tactic(PREFIX + share.name, strided_inputs=first, strided_outputs=first)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, window, source = self._problem, self._problem.window, inputs[0]
        if 0 in output.shape:
            return
        if output.offset % ACCESS_BYTES:  # a slice that begins where no access may
            DirectConvolution(problem).record(stream, inputs, output, workspace)
            return
        fused = epilogue_of(problem, OUTPUTS, inputs)
        outputs = output.shape[1]
        tiles = tiles_for(outputs)
        value = constant_weights(problem.weights)
        dense = self._share.dense
        weights = stream.store.pack(
            ("cuda shallow weights", inputs[1].digest, output.dtype.value, tiles, dense),
            lambda: (pack_dense if dense else pack)(value, output.dtype, tiles),
        )
        share = self._share
        down = -(-output.shape[2] // (share.rows * share.warps))
        across = -(-output.shape[3] // SIDE)
        function = (
            f"convolution_shallow<{stored(source.dtype)}, {stored(output.dtype)}, "
            f"{source.shape[1]}, {share.warps}, {share.rows}, {share.blocks}, {tiles}, "
            f"{window.kernel[0]}, {_width(window, dense)}, {window.strides[0]}, "
            f"{'true' if dense else 'false'}>"
        )
        narrow = output.dtype is DataType.BFLOAT16
        stream.launch_grid(
            kernel(
                FILE, function, LAYOUT + fused.layout, fused.header,
                WITH_BFLOAT16 if narrow else None,
            ),
            (output.shape[0] * down * across, -(-outputs // (OUTPUTS * tiles)), 1),
            (32 * share.warps,), source, weights, output, source.shape[2:], output.shape,
            window.before, divisors((across, down)),
            source.desc.element_strides, output.desc.element_strides, *fused.arguments(inputs),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one all that fit, a good guess first."""
    if not _fits(problem) or not fuses(problem, OUTPUTS):
        return
    outputs, channels = problem.output.sizes[1], problem.source.sizes[1]
    for share in shares_for(outputs, channels, problem.window):
        if tactic in (None, PREFIX + share.name) and _fits_shared(problem.window, share):
            yield ShallowConvolution(problem, share)


def shares_for(outputs: int, channels: int, window: SlidingWindow) -> tuple[Share, ...]:
    """How blocks may compute so many output channels; a good guess first."""
    shares = NARROW_SHARES if tiles_for(outputs) == 4 else WIDE_SHARES
    height, width = window.kernel
    dense = height * _groups(width) / 2 < height * padded_width(width) / 4
    even = channels == 3 and window.strides[0] % 2 == 0
    return (*DENSE_SHARES, *shares) if even and dense else shares


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Whether tensors of these types and formats are what the kernel is for."""
    channels, outputs = source.shape[1], output.shape[1]
    return (
        source.dtype in SOURCES
        and weights.dtype in FLOATS
        and output.dtype in OUTPUT_TYPES
        and not any(desc.quantization for desc in (source, weights, output))
        and source.format in FORMATS
        and output.format is Format.CHANNELS_LAST
        and source.rank == 4
        and groups == 1
        and isinstance(channels, int)
        and channels <= MOST_CHANNELS
        and isinstance(outputs, int)
        and outputs % OUTPUTS == 0
    )


def tiles_for(outputs: int) -> int:
    """Tiles of the matrix instruction that a block computes: 32 or 64 output channels."""
    return 4 if outputs <= 4 * OUTPUTS else 8


def padded_width(width: int) -> int:
    """A window's width up to whole steps of four points."""
    return -(-width // 4) * 4


def pack(weights: Array, dtype: DataType, tiles: int) -> Array:
    """[M, C, height, width] -> [block of outputs, step, pair of tiles, lane, tile, 4] as bits of
    `dtype`.

    A step is four points of a row of the window; lane l holds the four channels of point l % 4
    for column l / 4 of the tile. Column n of tile t is output 32 * (t / 4) + 8 * (n / 2) +
    2 * (t % 4) + n % 2 of the block, so that a thread, which ends with columns 2 q and 2 q + 1
    of every tile, has eight neighbours in four tiles.
    """
    outputs, channels, height, width = weights.shape
    blocks = -(-outputs // (tiles * OUTPUTS))
    full = np.zeros(
        (blocks * tiles * OUTPUTS, MOST_CHANNELS, height, padded_width(width)), np.float32
    )
    full[:outputs, :channels, :, :width] = weights
    # block, t / 4, n / 2, t % 4, n % 2, channel, row, group of points, point
    split = full.reshape(
        blocks, tiles // 4, 4, 4, 2, MOST_CHANNELS, height, padded_width(width) // 4, 4
    )
    ordered = split.transpose(0, 6, 7, 1, 3, 2, 4, 8, 5)
    return _in_pairs(ordered.reshape(blocks, -1, tiles, 32, MOST_CHANNELS), dtype)


def pack_dense(weights: Array, dtype: DataType, tiles: int) -> Array:
    """[M, 3, height, width] -> [block of outputs, step, pair of tiles, lane, tile, 4] as bits of
    `dtype`.

    A row of the window is groups of eight elements, points and their channels as they follow each
    other; a step is two groups. Lane l holds elements 2 * (l % 4) and the next one of both for
    column l / 4 of the tile. Columns are those of `pack`.
    """
    outputs, channels, height, width = weights.shape
    blocks, groups = -(-outputs // (tiles * OUTPUTS)), _groups(width)
    steps = -(-height * groups // 2)
    rows = np.zeros((blocks * tiles * OUTPUTS, height, groups * 8), np.float32)
    rows[:outputs, :, : width * channels] = np.moveaxis(weights, 1, -1).reshape(
        outputs, height, width * channels
    )
    full = np.zeros((len(rows), steps * 16), np.float32)
    full[:, : height * groups * 8] = rows.reshape(len(rows), -1)
    # block, t / 4, n / 2, t % 4, n % 2, step, group, pair, element
    split = full.reshape(blocks, tiles // 4, 4, 4, 2, steps, 2, 4, 2)
    ordered = split.transpose(0, 5, 1, 3, 2, 4, 7, 6, 8)
    return _in_pairs(ordered.reshape(blocks, steps, tiles, 32, 4), dtype)


def _in_pairs(ordered: Array, dtype: DataType) -> Array:
    """[blocks, steps, tiles, lanes, 4] so that a lane reads two tiles in one access."""
    blocks, steps, tiles, lanes, elements = ordered.shape
    pairs = ordered.reshape(blocks, steps, tiles // 2, 2, lanes, elements).swapaxes(3, 4)
    return np.ascontiguousarray(pairs).astype(dtype.numpy).view(np.uint16)


def _groups(width: int) -> int:
    """Groups of eight elements in a row of the window, of three channels."""
    return -(-width * 3 // 8)


def _width(window: SlidingWindow, dense: bool) -> int:
    """Points of a row that the kernel looks at."""
    width = window.kernel[1]
    return -(-_groups(width) * 8 // 3) if dense else padded_width(width)


def _fits(problem: ConvolutionProblem) -> bool:
    source, output, window = problem.source, problem.output, problem.window
    return (
        takes(source, problem.weights, output, problem.groups)
        and problem.weights.is_constant
        and window.dilations == (1, 1)
        and window.strides[0] == window.strides[1]
        and pack_width(1, (output, 0)) == OUTPUTS
        and _fits_shared(window, WIDE_SHARES[-1])
        and max(map(mul, source.sizes[1:], source.element_strides[1:])) < MOST_PLACES
    )


def _fits_shared(window: SlidingWindow, share: Share) -> bool:
    """Whether shared memory holds the part of the image that a block sees."""
    step = window.strides[0]
    down = (share.warps * share.rows - 1) * step + window.kernel[0]
    across = (SIDE - 1) * step + _width(window, share.dense)
    return down * across * MOST_CHANNELS * 2 <= SHARED_BYTES
