"""The tiles of tiles.cu, and about how long each takes for a convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

from .problem import ConvolutionProblem

GROUP = 8
"""Channels that a thread copies or stores at a time."""

SPLITS = (1, 2, 4, 8)
"""Blocks of a cluster that may share a sum."""

SHARED_MEMORY, MOST_THREADS = 227 << 10, 1536
"""What guesses are made for: a multiprocessor of this size."""

PIECE_CYCLES, WINDOW_CYCLES = 150, 290
"""Cycles that a piece of a ring of two takes on its way, and how many more where the points of a
window are looked for."""

PRODUCTS_PER_CYCLE, BYTES_PER_CYCLE, SUMS_PER_CYCLE = 2950, 48, 27
"""What a multiprocessor multiplies, loads and stores in one cycle."""

BLOCK_CYCLES, ROW_CYCLES, CLUSTER_CYCLES = 800, 8.6, 2000
"""Cycles of a block beside its pieces, of each of its rows, and what sharing sums costs. The
numbers are fitted to 1,180 times of 41 convolutions on an H200."""


@dataclass(frozen=True)
class Tile:
    """How a block computes: points, output channels, elements of a piece, warps along each of
    them, pieces in the ring, and blocks that share a sum."""

    points: int
    outputs: int
    piece: int
    warps: tuple[int, int, int]
    stages: int
    split: int = 1

    @property
    def name(self) -> str:
        """Such as 64x32x64-2x2x1-4 and, of two blocks, 64x32x64-2x2x1-4-2."""
        sizes = f"{self.points}x{self.outputs}x{self.piece}"
        warps = "x".join(map(str, self.warps))
        return f"{sizes}-{warps}-{self.stages}" + (f"-{self.split}" if self.split > 1 else "")

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * prod(self.warps)

    @property
    def shared_bytes(self) -> int:
        """Of the ring, and of the sums that lie there when it is done."""
        ring = self.stages * (self.points + self.outputs) * self.piece * 2
        return max(ring, self.warps[2] * self.points * (self.outputs + GROUP) * 4)

    @staticmethod
    def named(name: str) -> Tile | None:
        """The tile of this name; None where there is none."""
        try:
            sizes, warps, stages, *split = name.split("-")
            points, outputs, piece = map(int, sizes.split("x"))
            across, along, deep = map(int, warps.split("x"))
            made = Tile(
                points, outputs, piece, (across, along, deep), int(stages),
                *map(int, split),
            )  # fmt: skip
        except (ValueError, TypeError):
            return None
        return made if replace(made, split=1) in TILES and made.split in SPLITS else None


TILES = (
    Tile(16, 16, 128, (1, 1, 8), 4),
    Tile(16, 32, 128, (1, 1, 8), 4),
    Tile(16, 32, 128, (1, 1, 4), 4),
    Tile(16, 64, 128, (1, 1, 4), 3),
    Tile(32, 32, 64, (2, 1, 2), 8),
    Tile(32, 32, 128, (2, 1, 2), 4),
    Tile(32, 64, 128, (1, 2, 2), 4),
    Tile(64, 32, 64, (2, 1, 2), 4),
    Tile(64, 32, 64, (2, 1, 2), 7),
    Tile(64, 64, 64, (2, 2, 1), 4),
    Tile(128, 64, 64, (4, 2, 1), 4),
    Tile(128, 128, 64, (2, 4, 1), 3),
    Tile(256, 128, 64, (4, 2, 1), 3),
)
"""Each was the fastest somewhere among two dozen on an H200."""


@dataclass(frozen=True)
class Task:
    """A convolution as a product of matrices: points x depth times depth x outputs."""

    points: int
    outputs: int
    depth: int
    has_window: bool

    @staticmethod
    def of(problem: ConvolutionProblem) -> Task:
        """What a problem asks for."""
        images, outputs, *spatial = problem.output.sizes
        taps = prod(problem.weights.sizes[2:])
        depth = problem.weights.sizes[1] * taps
        return Task(images * prod(spatial), outputs, depth, taps > 1)

    def blocks(self, tile: Tile) -> int:
        """Of one layer of the sum."""
        return -(-self.points // tile.points) * -(-self.outputs // tile.outputs)

    def is_worth_splitting(self, tile: Tile, split: int, multiprocessors: int) -> bool:
        """Whether there are few blocks, and pieces enough for each."""
        return (
            self.blocks(tile) * split <= 2 * multiprocessors
            and -(-self.depth // tile.piece) >= 2 * split
        )

    def cycles(self, tile: Tile, multiprocessors: int) -> float:
        """About how long it takes."""
        fit = min(SHARED_MEMORY // tile.shared_bytes, MOST_THREADS // tile.threads)
        turns = self.blocks(tile) * tile.split / multiprocessors
        together = min(fit, ceil(turns))
        waves = turns / together if turns > 3 * together else ceil(turns / together)
        pieces = ceil(self.depth / (tile.piece * tile.split))
        area, rows = tile.points * tile.outputs, tile.points + tile.outputs
        piece = (PIECE_CYCLES + self.has_window * WINDOW_CYCLES) / (tile.stages - 1) + together * (
            area * tile.piece / PRODUCTS_PER_CYCLE + rows * tile.piece * 2 / BYTES_PER_CYCLE
        )
        beside = BLOCK_CYCLES + together * area / SUMS_PER_CYCLE + rows * ROW_CYCLES
        return waves * (beside + pieces * piece) + (tile.split > 1) * CLUSTER_CYCLES
