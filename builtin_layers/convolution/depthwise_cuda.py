"""Depthwise convolution by our own CUDA kernel: channels-last floats of 16 and 32 bits, windows of
3 x 3 and 5 x 5 with strides 1 and 2, any epilogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from ...plugins import Array, Format, Stream, Tactic, TensorView
from ...plugins.native.cuda.headers import divisors
from ..kernels_cuda import blocks, kernel, pack_width, stored
from .direct_cuda import FLOATS, epilogue_of, fuses
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:depthwise:"

SHARES = ((2, 2), (1, 2), (1, 1))
"""Rows and points of a row that a thread computes; a good guess first."""

WINDOWS = ((3, 3), (5, 5))
STRIDES = ((1, 1), (2, 2))
WIDEST_PACK = 8

FILE = "convolution/depthwise.cu"
LAYOUT = "TTTI2i2ii9I2i4q4q"
THREADS = 128


class DepthwiseConvolution(Candidate):
    """The loops of depthwise.cu."""

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
        width = pack_width(1, (source.desc, source.offset), (output.desc, output.offset))
        width = min(width, WIDEST_PACK)
        fused = epilogue_of(problem, width, inputs)
        value = constant_weights(problem.weights)
        weights = stream.store.pack(
            ("cuda depthwise weights", inputs[1].digest), lambda: pack(value)
        )
        images, channels, rows, points = output.shape
        run, tile = self._share
        sizes = (channels // width, -(-points // tile), -(-rows // run))
        count = images * prod(sizes)
        function = (
            f"convolution_depthwise<{stored(source.dtype)}, {stored(weights.dtype)}, {width}, "
            f"{window.kernel[0]}, {window.kernel[1]}, {window.strides[0]}, {run}, {tile}>"
        )
        stream.launch_grid(
            kernel(FILE, function, LAYOUT + fused.layout, fused.header),
            blocks(count, THREADS), (THREADS,), source, weights, output, count, source.shape[2:],
            (rows, points), channels, divisors(sizes), window.before,
            source.desc.element_strides, output.desc.element_strides, *fused.arguments(inputs),
        )  # fmt: skip


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[Candidate]:
    """The way with the tactic's name; without one all that fit, a good guess first."""
    if not _fits(problem) or not fuses(problem, 1):
        return
    for share in SHARES:
        if tactic in (None, _name(share)):
            yield DepthwiseConvolution(problem, share)


def _name(share: tuple[int, int]) -> str:
    return f"{PREFIX}{share[0]}x{share[1]}"


def pack(weights: Array) -> Array:
    """[C, 1, height, width] -> [height, width, C]."""
    return np.ascontiguousarray(weights[:, 0].transpose(1, 2, 0))


def _fits(problem: ConvolutionProblem) -> bool:
    source, output, window = problem.source, problem.output, problem.window
    return (
        problem.is_depthwise
        and problem.weights.is_constant
        and source.rank == 4
        and problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST)
        and source.dtype is output.dtype
        and source.dtype in FLOATS
        and problem.weights.dtype in FLOATS
        and window.kernel in WINDOWS
        and window.strides in STRIDES
        and window.dilations == (1, 1)
    )
