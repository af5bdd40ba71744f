"""Convolution of images with few channels by our own CUDA kernel on the tensor cores.

It reads float32, 16-bit floats or bytes, linear or channels-last, and writes channels-last
16-bit floats: the first layer of a network and the conversion of its input in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from ...plugins import Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from ...plugins.native.cuda.headers import divisors
from ..kernels_cuda import ACCESS_BYTES, kernel, pack_width, stored
from ..sliding_window import SlidingWindow
from .direct_cuda import FLOATS, DirectConvolution, epilogue_of, fuses
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:shallow:"

SHARES = ((4, 2), (8, 2), (4, 4), (8, 1))
"""Warps of a block and rows that each computes; a good guess first."""

MOST_CHANNELS = 4
"""Channels to a point in shared memory."""

SIDE = 16
"""Points of a row that a block computes."""

BLOCKS = 1056
"""Blocks that keep a large GPU busy: where there are more tiles, each block computes several, so
that it brings weights into shared memory once."""

OUTPUTS = 8
"""Output channels in one tile of the matrix instruction, and in one access of a thread."""

SHARED_BYTES = 48 << 10

MOST_KEPT, MOST_SHARED = 16, 112
"""Matrices of weights up to which they stay in registers, and in shared memory."""

SOURCES = (*FLOATS, DataType.UINT8)
OUTPUT_TYPES = (DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

WITH_BFLOAT16 = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""Architectures whose tensor cores multiply bfloat16."""

FILE = "convolution/shallow.cu"
LAYOUT = "TTTi2i4i2i6III4q4q"


class ShallowConvolution(Candidate):
    """The loops of shallow.cu."""

    def __init__(self, problem: ConvolutionProblem, share: tuple[int, int]) -> None:
        self._problem = problem
        self._share = share
        first = frozenset({0})
        self.tactic = Tactic(_name(share), strided_inputs=first, strided_outputs=first)

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
        weights = stream.store.pack(
            ("cuda shallow weights", inputs[1].digest, output.dtype.value, tiles),
            lambda: pack(value, output.dtype, tiles),
        )
        warps, rows = self._share
        down = -(-output.shape[2] // (rows * warps))
        across = -(-output.shape[3] // SIDE)
        count = output.shape[0] * down * across
        per_block = 1 if _factors(window, outputs) <= MOST_KEPT else -(-count // BLOCKS)
        function = (
            f"convolution_shallow<{stored(source.dtype)}, {stored(output.dtype)}, {warps}, "
            f"{rows}, {tiles}, {window.kernel[0]}, {padded_width(window.kernel[1])}, "
            f"{window.strides[0]}>"
        )
        narrow = output.dtype is DataType.BFLOAT16
        stream.launch_grid(
            kernel(
                FILE, function, LAYOUT + fused.layout, fused.header,
                WITH_BFLOAT16 if narrow else None,
            ),
            (-(-count // per_block), -(-outputs // (OUTPUTS * tiles)), 1), (32 * warps,),
            source, weights, output, source.shape[1], source.shape[2:], output.shape,
            window.before, divisors((across, down)), per_block, count,
            source.desc.element_strides, output.desc.element_strides, *fused.arguments(inputs),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one all that fit, a good guess first."""
    if not _fits(problem) or not fuses(problem, OUTPUTS):
        return
    for share in SHARES:
        if tactic in (None, _name(share)) and _shared_bytes(problem, share) <= SHARED_BYTES:
            yield ShallowConvolution(problem, share)


def _name(share: tuple[int, int]) -> str:
    return f"{PREFIX}{share[0]}x{share[1]}"


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
    """[M, C, height, width] -> [block of outputs, step, tile, lane, 4] as bits of `dtype`.

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
    flat = np.ascontiguousarray(ordered).reshape(
        blocks, height * padded_width(width) // 4, tiles, 32, MOST_CHANNELS
    )
    return flat.astype(dtype.numpy).view(np.uint16)


def _fits(problem: ConvolutionProblem) -> bool:
    source, output, window = problem.source, problem.output, problem.window
    return (
        takes(source, problem.weights, output, problem.groups)
        and problem.weights.is_constant
        and window.dilations == (1, 1)
        and window.strides[0] == window.strides[1]
        and pack_width(1, (output, 0)) == OUTPUTS
        and _shared_bytes(problem, SHARES[0]) <= SHARED_BYTES
    )


def _factors(window: SlidingWindow, outputs: int) -> int:
    """Matrices of weights that a warp multiplies by."""
    return window.kernel[0] * (padded_width(window.kernel[1]) // 4) * tiles_for(outputs)


def _shared_bytes(problem: ConvolutionProblem, share: tuple[int, int]) -> int:
    """Bytes of the part of the image that a block sees, and of weights that lie beside it."""
    window = problem.window
    step, width = window.strides[0], padded_width(window.kernel[1])
    down = (prod(share) - 1) * step + window.kernel[0]
    across = (SIDE - 1) * step + width
    factors = _factors(window, problem.output.sizes[1])
    held = factors if MOST_KEPT < factors <= MOST_SHARED else 1
    return down * across * MOST_CHANNELS * 2 + held * 256
