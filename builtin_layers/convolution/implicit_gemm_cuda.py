"""Convolution of channels-last 16-bit floats by our own CUDA kernel on Hopper's tensor cores: each
block keeps its piece of the input in shared memory and reads it there for every tap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np

from ...plugins import Array, DataType, DeviceError, Format, Stream, Tactic, TensorDesc, TensorView
from ...plugins.native.cuda import CudaKernel, CudaSource, available, device_properties
from ...plugins.native.cuda.architectures import suits
from ...plugins.native.cuda.epilogue import EpilogueSource
from ...plugins.native.cuda.headers import device_headers, divisors
from ..kernels_cuda import ACCESS_BYTES, pack_width, stored
from ..sliding_window import SlidingWindow
from .direct_cuda import DirectConvolution, epilogue_of, fuses
from .implicit_gemm_choice import geometries, promising
from .implicit_gemm_tiles import GROUP_OUTPUTS, MOST_TAPS, STEP, Geometry, Tile, chunk_of
from .problem import Candidate, ConvolutionProblem, constant_weights

PREFIX = "cuda:gemm:"

WIDTH = 8
"""Channels that a thread copies or stores at a time."""

MOST, MOST_OF_MANY = 5, 2
"""Tiles that are offered, and those where a GPU takes several turns: there one is like another."""

TYPES = (DataType.FLOAT16, DataType.BFLOAT16)
OUTPUT_TYPES = (*TYPES, DataType.FLOAT32)
ARCHITECTURE = "sm_90a"

FILE = "implicit_gemm.cu"
HEADERS = ("implicit_gemm.cuh", "cluster_sums.cuh", "transaction_barrier.cuh")
LAYOUT = f"TTT15i22I{MOST_TAPS}i4q4q"


class ImplicitGemm(Candidate):
    """The loops of implicit_gemm.cu."""

    def __init__(
        self, problem: ConvolutionProblem, geometry: Geometry, priority: int = 0
    ) -> None:
        self._problem = problem
        self._geometry = geometry
        first = frozenset({0})
        self.tactic = Tactic(
            PREFIX + geometry.tile.name, strided_inputs=first, strided_outputs=first,
            priority=priority,
        )  # fmt: skip

    def prepare(self) -> bool:
        return runs_here()

    def record(
        self,
        stream: Stream,
        inputs: Sequence[TensorView],
        output: TensorView,
        workspace: TensorView | None,
    ) -> None:
        problem, geometry, source = self._problem, self._geometry, inputs[0]
        if 0 in output.shape:
            return
        if source.offset % ACCESS_BYTES:  # a slice that begins where no access may
            DirectConvolution(problem).record(stream, inputs, output, workspace)
            return
        value, dtype = constant_weights(problem.weights), source.dtype
        weights = stream.store.pack(
            ("cuda gemm weights", inputs[1].digest, dtype.value), lambda: pack(value, dtype)
        )
        stages = geometry.stages
        if stages is None:
            raise DeviceError(f"{self.tactic.name} does not fit into shared memory")
        tile, window = geometry.tile, problem.window
        width = store_width(problem, output.offset, tile.split)
        fused = epilogue_of(problem, width, inputs)
        rows, pitch = geometry.plane
        stream.launch_grid(
            self._kernel(fused, output.offset), geometry.grid, (geometry.threads,),
            source, weights, output,
            (*source.shape[:2], output.shape[1], *source.shape[2:], *output.shape[2:],
             *window.strides, *window.before, geometry.chunks, geometry.stages_of_chunk, *stages),
            (tile.images, tile.rows, tile.columns, *geometry.tiles, geometry.slots,
             pitch if geometry.is_strip else WIDTH,
             *divisors((pitch, rows, tile.images, geometry.planes[1], geometry.row_points))),
            [geometry.shift(tap) for tap in range(geometry.taps)],
            source.desc.element_strides, output.desc.element_strides, *fused.arguments(inputs),
            shared_bytes=geometry.shared_bytes,
        )  # fmt: skip

    def compilation(self) -> CudaKernel:
        """The kernel for tensors that begin where accesses may."""
        problem = self._problem
        nowhere = [None] * len(problem.inputs)
        width = store_width(problem, 0, self._geometry.tile.split)
        return self._kernel(epilogue_of(problem, width, nowhere), 0)

    def _kernel(self, fused: EpilogueSource, offset: int) -> CudaKernel:
        problem, geometry, split = self._problem, self._geometry, self._geometry.tile.split
        numbers = [
            geometry.points, geometry.groups, geometry.chunk, geometry.taps_of_stage,
            store_width(problem, offset, split), *([split] if split > 1 else []),
        ]  # fmt: skip
        function = (
            f"implicit_gemm{'_split' if split > 1 else ''}<{stored(problem.source.dtype)}, "
            f"{stored(problem.output.dtype)}, {', '.join(map(str, numbers))}>"
        )
        return kernel(function, LAYOUT + fused.layout, fused.header, geometry.points)


def candidates(problem: ConvolutionProblem, tactic: str | None = None) -> Iterator[ImplicitGemm]:
    """The way with the tactic's name; without one those that promise most, if the GPU is one that
    runs them."""
    if tactic is not None and not tactic.startswith(PREFIX):
        return
    if not _fits(problem) or not fuses(problem, store_width(problem, 0, 1)):
        return
    source, output = problem.source, problem.output
    images, outputs, rows, columns = output.sizes
    sizes = (images, source.sizes[1], outputs, (rows, columns))
    if tactic is not None:
        tile = Tile.named(tactic.removeprefix(PREFIX))
        if tile is not None:
            geometry = Geometry(tile, problem.window, *sizes)
            if geometry.fits:
                yield ImplicitGemm(problem, geometry)
    elif runs_here() and (prod(problem.window.kernel) > 1 or output.format is Format.LINEAR):
        # Where nothing is timed, it runs what a GPU does in one turn. Products of a point are
        # done sooner by others, but for those that would need another format behind them.
        for rank, geometry in enumerate(_promising(problem.window, *sizes)):
            yield ImplicitGemm(problem, geometry, int(rank == 0 and geometry.turns <= 1))


def compilations(problem: ConvolutionProblem, tactics: Sequence[str]) -> list[CudaKernel]:
    """The kernels of tactics of these names; others have none."""
    return [
        found.compilation() for name in tactics for found in candidates(problem, name)
    ]


def takes(source: TensorDesc, weights: TensorDesc, output: TensorDesc, groups: int) -> bool:
    """Whether tensors of these types and formats can be had in no other way that is as good: what
    is computed channels last, written in the order of arrays."""
    channels = source.shape[1]
    return (
        _has_types(source, weights, output)
        and output.format is Format.LINEAR
        and groups == 1
        and isinstance(channels, int)
        and channels % WIDTH == 0
        and runs_here()
    )


@lru_cache(maxsize=1024)
def _promising(
    window: SlidingWindow, images: int, channels: int, outputs: int, output: tuple[int, int]
) -> list[Geometry]:
    found = promising(geometries(window, images, channels, outputs, output))
    return found[: MOST if found and found[0].turns <= 1 else MOST_OF_MANY]


def runs_here() -> bool:
    """Whether the first GPU has these tensor cores."""
    return available() and suits(ARCHITECTURE, device_properties(0).architecture)


@lru_cache(maxsize=1024)
def kernel(function: str, layout: str, epilogue: str, points: int) -> CudaKernel:
    """The kernel of implicit_gemm.cu for instructions of so many points."""
    folder = Path(__file__).resolve().parent
    headers = {
        **device_headers(), "epilogue.cuh": epilogue,
        **{name: (folder / name).read_text(encoding="utf-8") for name in HEADERS},
        "warpgroup_product.cuh": warpgroup_product(points),
    }  # fmt: skip
    text = (folder / FILE).read_text(encoding="utf-8")
    return CudaKernel(
        CudaSource(text, f"convolution/{FILE}", headers), function, layout, (), (ARCHITECTURE,),
        overlaps=True,
    )  # fmt: skip


def warpgroup_product(points: int) -> str:
    """The header of the product of 64 x 16 by 16 x `points`: the instruction names each of a
    thread's sums, so its text depends on their number."""
    count = points // 2
    names = ", ".join(f"%{k}" for k in range(count))
    sums = ",\n            ".join(f'"+f"(total[{k}])' for k in range(count))
    products = "".join(
        f"""
template <> struct WarpgroupProduct<{name}> {{
    static __device__ __forceinline__ void add(
        float (&total)[{count}], unsigned long long a, unsigned long long b)
    {{
        asm volatile("{{\\n.reg .pred more;\\nsetp.ne.b32 more, 1, 0;\\n"
            "wgmma.mma_async.sync.aligned.m64n{points}k16.f32.{short}.{short} "
            "{{{names}}}, %{count}, %{count + 1}, more, 1, 1, 0, 0;\\n}}"
            : {sums}
            : "l"(a), "l"(b));
    }}
}};
"""
        for name, short in (("float16", "f16"), ("bfloat16", "bf16"))
    )
    return f"""#pragma once
#include "storage.cuh"
namespace plugrt {{
/* total += a (64 x 16) * b (16 x {points}) in T, by the four warps of a warpgroup; both lie in
 * shared memory. */
template <typename T> struct WarpgroupProduct;
{products}
__device__ __forceinline__ void begin_products()
{{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}}
__device__ __forceinline__ void end_products()
{{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}}
/* Waits until at most PENDING groups of products are not done. */
template <int PENDING> __device__ __forceinline__ void await_products()
{{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}}
/* What threads wrote into shared memory is there for products that follow. */
__device__ __forceinline__ void show_to_products()
{{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}}
/* Sums are read behind this only. */
__device__ __forceinline__ void settle(float (&total)[{count}])
{{
#pragma unroll
    for (int k = 0; k < {count}; k++)
        asm volatile("" : "+f"(total[k])::"memory");
}}
}}
"""


def store_width(problem: ConvolutionProblem, offset: int, split: int) -> int:
    """Channels that a thread stores together: eight or one; four where it adds up what other
    blocks have, so that a warp reads neighbouring elements."""
    output = problem.output
    if output.format is not Format.CHANNELS_LAST:
        return 1
    reach = ACCESS_BYTES // output.dtype.itemsize
    if pack_width(1, (output, offset)) < reach or output.sizes[1] % WIDTH:
        return 1
    return WIDTH if split == 1 else WIDTH // 2


def pack(weights: Array, dtype: DataType) -> Array:
    """[M, C, kernel...] -> [M / 64, chunks, taps, chunk / 16, 2, 64, 8] in a type, zeros where
    there are no weights: as the instruction reads them, in the order in which it does."""
    outputs, channels = weights.shape[:2]
    chunk = chunk_of(channels)
    tiles, chunks = -(-outputs // GROUP_OUTPUTS), -(-channels // chunk)
    taps = weights[0, 0].size
    whole = np.zeros((tiles * GROUP_OUTPUTS, chunks * chunk, taps), dtype.numpy)
    whole[:outputs, :channels] = weights.reshape(outputs, channels, taps).astype(dtype.numpy)
    cut = whole.reshape(tiles, GROUP_OUTPUTS, chunks, chunk // STEP, 2, WIDTH, taps)
    return np.ascontiguousarray(cut.transpose(0, 2, 6, 3, 4, 1, 5))


def _has_types(source: TensorDesc, weights: TensorDesc, output: TensorDesc) -> bool:
    return (
        source.dtype in TYPES
        and output.dtype in OUTPUT_TYPES
        and weights.dtype in OUTPUT_TYPES
        and not any(desc.quantization for desc in (source, weights, output))
        and source.rank == 4
        and source.format is Format.CHANNELS_LAST
        and output.format in (Format.CHANNELS_LAST, Format.LINEAR)
    )


def _fits(problem: ConvolutionProblem) -> bool:
    source, weights, output = problem.source, problem.weights, problem.output
    return (
        _has_types(source, weights, output)
        and weights.is_constant
        and problem.groups == 1
        and 0 not in (*source.sizes, *weights.sizes, *output.sizes)
        and pack_width(1, (source, 0)) == WIDTH
    )
