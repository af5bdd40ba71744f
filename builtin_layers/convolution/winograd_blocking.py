"""How a Winograd convolution is cut, so that what is used again stays in cache."""

from __future__ import annotations

from dataclasses import dataclass

from ...plugins import BLOCK
from .problem import ConvolutionProblem

WORD = 4
"""Bytes of a float32, or of two bfloat16 that are multiplied in one step."""

CHUNK = 14
"""WINOGRAD_CHUNK."""

PANEL = 32
"""WINOGRAD_PANEL."""

SHARED_CACHE = 8 << 20
"""Bytes of transformed input that all threads together keep in theirs (L3)."""

LARGEST_REPEATED = 15 << 20
"""Bytes of weights up to which each thread may read all of them for every block of its own."""

REPEATED_PER_TILE = 5 << 19
"""The same for each tile of a thread's: with few tiles the reading would take longest."""


@dataclass(frozen=True)
class WinogradBlocking:
    """Fields of struct winograd_arguments, and the bytes of workspace that follow from them."""

    tile: int
    threads: int
    block_tiles: int
    is_shared: bool
    transformed_bytes: int
    product_bytes: int

    @property
    def workspace_bytes(self) -> int:
        """For all threads."""
        return self.workspace_for(self.threads)

    def workspace_for(self, threads: int) -> int:
        """For so many threads."""
        if self.is_shared:
            return self.transformed_bytes + threads * self.product_bytes
        return threads * (self.transformed_bytes + self.product_bytes)

    def threads_in(self, nbytes: int) -> int:
        """How many of the threads a workspace of `nbytes` is enough for."""
        fitting = [n for n in range(1, self.threads + 1) if self.workspace_for(n) <= nbytes]
        return max(fitting, default=0)


def blocking(problem: ConvolutionProblem, tile: int) -> WinogradBlocking:
    """A good way to cut this problem.

    With many tiles and small weights each thread works on blocks of its own, one chunk each, which
    is still near when it is multiplied, without waiting for others. Else all transform one large
    block together, and then divide it by output channels, so that the weights are read once.
    """
    threads = problem.threads
    batch, channels = problem.source.sizes[:2]
    words = depth(channels, is_narrow=problem.is_narrow)
    outputs, *spatial = problem.output.sizes[1:]
    positions = (tile + 2) ** 2
    tiles = batch * tile_count(spatial, tile)
    per_tile = positions * -(-words // BLOCK) * BLOCK * WORD
    weights = positions * words * outputs * WORD
    rounds = -(-tiles // (CHUNK * threads))
    shared = weights > REPEATED_PER_TILE * tiles // threads or (
        rounds > 1 and weights > LARGEST_REPEATED
    )
    if shared and tiles * per_tile <= SHARED_CACHE:
        block_tiles = tiles
    elif shared:
        block_tiles = max(SHARED_CACHE // per_tile, CHUNK)
    else:
        block_tiles = -(-tiles // (rounds * threads))
    chunks = -(-block_tiles // CHUNK)
    return WinogradBlocking(
        tile, threads, block_tiles, shared,
        transformed_bytes=chunks * CHUNK * per_tile,
        product_bytes=positions * CHUNK * PANEL * WORD,
    )  # fmt: skip


def depth(channels: int, *, is_narrow: bool) -> int:
    """winograd_depth: words that a product sums over."""
    return -(-channels // BLOCK) * BLOCK // 2 if is_narrow else channels


def tile_count(spatial: list[int] | tuple[int, ...], tile: int) -> int:
    """Tiles that cover an output of these sizes."""
    count = 1
    for size in spatial:
        count *= -(-size // tile)
    return count
