"""Convolution with 3x3 windows by Winograd's minimal filtering (winograd.h).

2.25 or 4 multiplications per output in place of 9, for weights that grow 4 or 1.8 times. In
float32 the rounding error is about 1.5e-6 (4x4) or 5e-7 (2x2) of the result's norm.

In bfloat16, for processors that multiply pairs of it, the tiles' transforms and the transformed
weights are rounded. Against float32 that makes the error of a direct convolution in bfloat16
(0.0029 of the norm for random numbers) 1.7 times as large with 2x2, 1.3 to 1.6 times in trained
networks; with 4x4 it would be 4 times, so that only 2x2 is offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...plugins import (
    BLOCK,
    Array,
    DataType,
    DeviceError,
    Format,
    Stream,
    Tactic,
    TensorDesc,
    TensorView,
)
from .. import kernels
from ..scratchpad import expected_threads
from . import block_epilogue as epilogues
from .block_epilogue import BlockEpilogue, block_epilogue, block_strides
from .problem import Candidate, ConvolutionProblem, constant_weights
from .winograd_blocking import WinogradBlocking, blocking, depth, tile_count

PREFIX = "winograd:"

TILES = (4, 2)
"""Output points along a tile's side, the better guess first."""

NARROW_TILES = (2,)
"""The same in bfloat16."""

NARROW_FEATURES = frozenset({"avx512bf16", "avx512bw", "avx512vl"})

FORMATS = (Format.CHANNELS_LAST, Format.CHANNELS_BLOCKED_16)

LAYOUT = "TTTTT" + "i" * 9 + "2i2i2i" + "4q4q" + epilogues.LAYOUT
"""struct winograd_arguments in winograd.h."""

WEIGHTS_LAYOUT = "TTiiii"
"""struct winograd_weights_arguments in winograd_weights.c."""

LEAST_CHANNELS = 8
"""With fewer input or output channels the transforms cost more than they save."""

MANY_TILES = 64
"""With more 4x4 tiles than this reading the weights no longer counts, and 2x2 loses."""


class WinogradConvolution(Candidate):
    """F(tile x tile, 3 x 3)."""

    def __init__(
        self, problem: ConvolutionProblem, cut: WinogradBlocking, epilogue: BlockEpilogue
    ) -> None:
        self._problem = problem
        self._cut = cut
        self._epilogue = epilogue
        first = frozenset({0})
        self.tactic = Tactic(
            name_of(cut.tile),
            strided_inputs=first,
            strided_outputs=first,
            # A program reads its operands only after the sums were stored.
            may_alias=frozenset() if epilogue.program else frozenset(epilogue.operands),
            weight_growth=(cut.tile + 2) ** 2 / 9,
        )
        self.workspace_bytes = cut.workspace_bytes

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, epilogue = self._problem, self._epilogue
        if workspace is None:
            raise DeviceError(f"{self.tactic.name} needs the workspace of getWorkspaceSize")
        cut, threads = self._cut_for(workspace)
        source, weights = inputs[0], inputs[1]
        packed = stream.store.pack(
            ("winograd weights", weights.digest, cut.tile, problem.is_narrow),
            lambda: pack(weights.desc, cut.tile, stream.thread_count),
        )
        has_bias = problem.bias is not None
        stream.launch(
            kernels.kernel("plugrt_convolution_winograd", LAYOUT),
            source, packed, inputs[2] if has_bias else packed, output, workspace,
            cut.tile, int(problem.is_narrow), int(has_bias), threads, cut.block_tiles,
            int(cut.is_shared), source.shape[0], source.shape[1], output.shape[1],
            source.shape[2:], output.shape[2:], problem.window.before,
            block_strides(source.desc), block_strides(output.desc),
            *epilogue.arguments(stream, inputs, output, packed),
        )  # fmt: skip

    def _cut_for(self, workspace: TensorView) -> tuple[WinogradBlocking, int]:
        """A way to cut the problem that the workspace is enough for, and for how many threads:
        it may have been planned for another team than the stream's."""
        nbytes = workspace.desc.nbytes
        planned = replace(self._problem, threads=expected_threads())
        for cut in (self._cut, blocking(planned, self._cut.tile)):
            threads = cut.threads_in(nbytes)
            if threads:
                return cut, threads
        raise DeviceError(
            f"{self.tactic.name} needs {self._cut.workspace_for(1)} bytes of workspace and got "
            f"{nbytes}; plan with getWorkspaceSize for the same shapes"
        )


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[WinogradConvolution]:
    """The way with the tactic's name; without one those with a chance to be the fastest."""
    if not kernels.available() or not _fits(problem):
        return
    tiles = [tile for tile in tiles_for(problem) if tactic in (None, name_of(tile))]
    if not tiles:
        return
    epilogue = block_epilogue(problem.epilogue, problem.inputs, problem.output)
    if epilogue is None:
        return
    for tile in tiles:
        if tactic is not None or _has_a_chance(problem, tile):
            yield WinogradConvolution(problem, blocking(problem, tile), epilogue)


def tiles_for(problem: ConvolutionProblem) -> tuple[int, ...]:
    """The tile sizes for the problem's type on this processor."""
    from ...plugins.native import cpu

    if problem.is_float32:
        return TILES
    own = {problem.source.dtype, problem.output.dtype}
    is_bfloat16 = problem.is_narrow and own == {DataType.BFLOAT16}
    return NARROW_TILES if is_bfloat16 and cpu.features() >= NARROW_FEATURES else ()


def name_of(tile: int) -> str:
    """The tactic with tiles of this size."""
    return f"{PREFIX}{tile}x{tile}"


def pack(weights: TensorDesc, tile: int, threads: int) -> Array:
    """[M, C, 3, 3] -> panels of 32 output channels (16 at the end), each [position, depth, width]
    words: a float32, or two of bfloat16 weights in the order that winograd.h tells."""
    from ...plugins.native.immediate import aligned_zeros, run_kernel

    plain = np.ascontiguousarray(constant_weights(weights), np.float32)
    outputs, channels = plain.shape[:2]
    is_narrow = weights.dtype is DataType.BFLOAT16
    words = depth(channels, is_narrow=is_narrow)
    count = (tile + 2) ** 2 * words * (-(-outputs // BLOCK) * BLOCK)
    packed = aligned_zeros(4 * count).view(np.float32)  # the store copies what is not aligned
    kernel = kernels.kernel("plugrt_winograd_weights", WEIGHTS_LAYOUT)
    slots = [TensorView(TensorDesc(DataType.FLOAT32, plain.shape), slot) for slot in range(2)]
    block = kernel.pack([*slots, tile, outputs, channels, int(is_narrow)])
    run_kernel(kernel.address, block, [plain, packed], threads)
    return packed


def _fits(problem: ConvolutionProblem) -> bool:
    window, bias = problem.window, problem.bias
    return (
        (bias is None or bias.dtype is DataType.FLOAT32)
        and problem.weights.is_constant
        and problem.groups == 1
        and window.kernel == (3, 3)
        and window.strides == window.dilations == (1, 1)
        and problem.source.format is problem.output.format
        and problem.source.format in FORMATS
        and 0 not in (*problem.source.sizes, *problem.output.sizes)
    )


def _has_a_chance(problem: ConvolutionProblem, tile: int) -> bool:
    channels, outputs = problem.source.sizes[1], problem.output.sizes[1]
    if min(channels, outputs) < LEAST_CHANNELS:
        return False
    batch, _, *spatial = problem.output.sizes
    few = batch * tile_count(spatial, max(TILES)) <= MANY_TILES
    return problem.is_narrow or tile != min(TILES) or few
