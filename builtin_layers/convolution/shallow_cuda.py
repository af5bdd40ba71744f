"""Convolution of images with few channels by our own CUDA kernel on the tensor cores.

It reads float32, 16-bit floats or bytes, linear or channels-last, and writes channels-last
16-bit floats: the first layer of a network and the conversion of its input in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...plugins import Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from ..kernels_cuda import ACCESS_BYTES, kernel, pack_width, stored
from .direct_cuda import FLOATS, DirectConvolution, epilogue_of, fuses
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:shallow:"

WARPS = (4, 8)
"""Warps of a block, each of which computes two rows; a good guess first."""

MOST_CHANNELS = 4
"""Channels to a point in shared memory."""

SIDE = 16
"""Points of a row that a block computes."""

ROWS = 2
"""Rows that a warp computes."""

OUTPUTS = 8
"""Output channels in one tile of the matrix instruction, and in one access of a thread."""

SHARED_BYTES = 48 << 10

SOURCES = (*FLOATS, DataType.UINT8)
OUTPUT_TYPES = (DataType.FLOAT16, DataType.BFLOAT16)
FORMATS = (Format.LINEAR, Format.CHANNELS_LAST)

WITH_BFLOAT16 = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
"""Architectures whose tensor cores multiply bfloat16."""

FILE = "convolution/shallow.cu"
LAYOUT = "TTTi2i4i2i2i4q4q"


class ShallowConvolution(Candidate):
    """The loops of shallow.cu."""

    def __init__(self, problem: ConvolutionProblem, warps: int) -> None:
        self._problem = problem
        self._warps = warps
        first = frozenset({0})
        self.tactic = Tactic(f"{PREFIX}{warps}", strided_inputs=first, strided_outputs=first)

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
        down = -(-output.shape[2] // (ROWS * self._warps))
        across = -(-output.shape[3] // SIDE)
        function = (
            f"convolution_shallow<{stored(source.dtype)}, {stored(output.dtype)}, {self._warps}, "
            f"{tiles}, {window.kernel[0]}, {padded_width(window.kernel[1])}, {window.strides[0]}>"
        )
        narrow = output.dtype is DataType.BFLOAT16
        stream.launch_grid(
            kernel(
                FILE, function, LAYOUT + fused.layout, fused.header,
                WITH_BFLOAT16 if narrow else None,
            ),
            (output.shape[0] * down * across, -(-outputs // (OUTPUTS * tiles)), 1),
            (32 * self._warps,),
            source, weights, output, source.shape[1], source.shape[2:], output.shape,
            window.before, (down, across), source.desc.element_strides,
            output.desc.element_strides, *fused.arguments(inputs),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one all that fit, a good guess first."""
    if not _fits(problem) or not fuses(problem, OUTPUTS):
        return
    for warps in WARPS:
        if tactic in (None, f"{PREFIX}{warps}") and _shared_bytes(problem, warps) <= SHARED_BYTES:
            yield ShallowConvolution(problem, warps)


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
        and _shared_bytes(problem, WARPS[0]) <= SHARED_BYTES
    )


def _shared_bytes(problem: ConvolutionProblem, warps: int) -> int:
    """Bytes of the part of the image that a block sees."""
    window = problem.window
    step = window.strides[0]
    down = (ROWS * warps - 1) * step + window.kernel[0]
    across = (SIDE - 1) * step + padded_width(window.kernel[1])
    return down * across * MOST_CHANNELS * 2
