"""Convolution of channels-last 16-bit floats by our own CUDA kernel on the tensor cores, for the
few tiles of small batches above all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ...plugins import Array, DataType, Format, Stream, Tactic, TensorDesc, TensorView
from ...plugins.native.cuda import CudaKernel, available, device_properties
from ...plugins.native.cuda.architectures import best_for
from ...plugins.native.cuda.devices import DeviceProperties
from ...plugins.native.cuda.epilogue import EpilogueSource
from ...plugins.native.cuda.headers import divisors
from ..kernels_cuda import ACCESS_BYTES, kernel, pack_width, stored
from .direct_cuda import DirectConvolution, epilogue_of, fuses
from .problem import Candidate, ConvolutionProblem, constant_weights
from .tile_choice import GROUP, SPLITS, TILES, Task, Tile

PREFIX = "cuda:tiles:"

TYPES = (DataType.FLOAT16, DataType.BFLOAT16)

ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
WITH_CLUSTERS = ("sm_90", "sm_100", "sm_120")

FILE = "convolution/tiles.cu"
LAYOUT = "TTTiiii6I2i7i4q4q"

MOST_TILES = 8
"""Tiles that are offered."""

MOST_FOR_SUMS = 3
"""Those where results are in float32, which few layers of a network are for."""

MOST_POINTS = 1 << 30
"""The kernel numbers the points of whole tiles in 32 bits."""


class TileConvolution(Candidate):
    """The loops of tiles.cu."""

    def __init__(self, problem: ConvolutionProblem, tile: Tile) -> None:
        self._problem = problem
        self._tile = tile
        first = frozenset({0})
        self.tactic = Tactic(PREFIX + tile.name, strided_inputs=first, strided_outputs=first)

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, tile, source = self._problem, self._tile, inputs[0]
        if 0 in output.shape:
            return
        if source.offset % ACCESS_BYTES:  # a slice that begins where no access may
            DirectConvolution(problem).record(stream, inputs, output, workspace)
            return
        fused = epilogue_of(problem, GROUP, inputs)
        packed = _is_packed(output.desc, output.offset)
        value, dtype = constant_weights(problem.weights), source.dtype
        weights = stream.store.pack(
            ("cuda weights", inputs[1].digest, dtype.value, Format.CHANNELS_LAST.value),
            lambda: pack(value, dtype),
        )
        window = problem.window
        images, outputs, rows, columns = output.shape
        points = images * rows * columns
        stream.launch_grid(
            self._kernel(fused, packed),
            (-(-points // tile.points), -(-outputs // tile.outputs), tile.split), (tile.threads,),
            source, weights, output, points, source.shape[1], outputs, prod(window.kernel),
            divisors((columns, rows)), source.shape[2:],
            (window.kernel[1], *window.strides, *window.dilations, *window.before),
            source.desc.element_strides, output.desc.element_strides, *fused.arguments(inputs),
            shared_bytes=tile.shared_bytes,
        )  # fmt: skip

    def compilation(self) -> CudaKernel:
        """What is launched where tensors begin as they should."""
        problem = self._problem
        packed = _is_packed(problem.output, 0)
        return self._kernel(epilogue_of(problem, GROUP), packed)

    def _kernel(self, fused: EpilogueSource, packed: bool) -> CudaKernel:
        tile, window = self._tile, self._problem.window
        numbers = [tile.points, tile.outputs, tile.piece, *tile.warps, tile.stages]
        if tile.split > 1:
            numbers.append(tile.split)
        is_point = prod(window.kernel) == 1 and not any(window.before + window.after)
        flags = ["true" if flag else "false" for flag in (is_point, packed)]
        types = [stored(desc.dtype) for desc in (self._problem.source, self._problem.output)]
        function = (
            f"convolution_tiles{'_split' if tile.split > 1 else ''}"
            f"<{', '.join([*types, *map(str, numbers), *flags])}>"
        )
        return kernel(
            FILE, function, LAYOUT + fused.layout, fused.header,
            WITH_CLUSTERS if tile.split > 1 else ARCHITECTURES,
        )  # fmt: skip


BRIEF = 1 << 30
"""Products that take a large GPU a few microseconds."""


def is_brief(problem: ConvolutionProblem) -> bool:
    """Whether the tiles compute a problem, which is a small one."""
    if not _fits(problem) or _first_gpu() is None:
        return False
    task = Task.of(problem)
    return task.points * task.outputs * task.depth <= BRIEF


def compilations(problem: ConvolutionProblem, tactics: Sequence[str]) -> list[object]:
    """The kernels of tactics of these names."""
    found = (candidate for name in tactics for candidate in candidates(problem, name))
    return [candidate.compilation() for candidate in found]


def candidates(
    problem: ConvolutionProblem, tactic: str | None = None
) -> Iterator[TileConvolution]:
    """The way with the tactic's name; without one all that might be fast, a good guess first."""
    if (tactic is not None and not tactic.startswith(PREFIX)) or not _fits(problem):
        return
    if not fuses(problem, GROUP):
        return
    if tactic is not None:
        tile = Tile.named(tactic.removeprefix(PREFIX))
        if tile is not None:
            yield TileConvolution(problem, tile)
        return
    for tile in promising(problem):
        yield TileConvolution(problem, tile)


def promising(problem: ConvolutionProblem) -> list[Tile]:
    """The tiles that might be the fastest on the first GPU, the best guess first; none without
    a GPU that has the instructions."""
    gpu = _first_gpu()
    if gpu is None or best_for(ARCHITECTURES, gpu.architecture) is None:
        return []
    splits = SPLITS if best_for(WITH_CLUSTERS, gpu.architecture) else (1,)
    task = Task.of(problem)
    found = [
        replace(tile, split=split)
        for tile in TILES
        for split in splits
        if tile.shared_bytes <= gpu.shared_bytes_per_block
        and (split == 1 or task.is_worth_splitting(tile, split, gpu.multiprocessors))
    ]
    found.sort(key=lambda tile: task.cycles(tile, gpu.multiprocessors))
    return found[: MOST_TILES if problem.output.dtype in TYPES else MOST_FOR_SUMS]


def _first_gpu() -> DeviceProperties | None:
    return device_properties(0) if available() else None


def pack(weights: Array, dtype: DataType) -> Array:
    """[M, C, kernel...] -> [M, kernel..., C] in a type."""
    return np.ascontiguousarray(np.moveaxis(weights, 1, -1).astype(dtype.numpy))


def _is_packed(output: TensorDesc, offset: int) -> bool:
    """Whether a thread can store its channels in whole accesses."""
    width = pack_width(1, (output, offset))
    return width * output.dtype.itemsize >= ACCESS_BYTES and output.sizes[1] % GROUP == 0


def _fits(problem: ConvolutionProblem) -> bool:
    source, weights, output = problem.source, problem.weights, problem.output
    return (
        source.dtype in TYPES
        and output.dtype in (source.dtype, DataType.FLOAT32)
        and weights.dtype in (*TYPES, DataType.FLOAT32)
        and not any(desc.quantization for desc in (source, weights, output))
        and weights.is_constant
        and problem.groups == 1
        and source.rank == 4
        and problem.has_formats(Format.CHANNELS_LAST, Format.CHANNELS_LAST)
        and 0 not in (*source.sizes, *weights.sizes)
        and pack_width(1, (source, 0)) == GROUP
        and Task.of(problem).points <= MOST_POINTS
    )
