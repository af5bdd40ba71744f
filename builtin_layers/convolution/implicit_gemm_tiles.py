"""How a convolution on Hopper's tensor cores is cut into blocks: tiles and shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

from ..sliding_window import SlidingWindow

STEP = 16
"""Channels that one instruction sums over."""

MOST_STEPS = 12
"""Instructions of all warpgroups whose weights are one stage of the ring."""

GROUP_OUTPUTS = 64
"""Output channels of one warpgroup."""

STRIP = 8
"""Columns of tiles that lie in memory as the instruction counts points, whatever their pitch."""

MOST_POINTS, MOST_TAPS = 256, 32
CHUNKS = (64, 32, 16)
SPLITS = (1, 2, 3, 4, 5, 6, 7, 8)

SHARED_BYTES = 227 << 10
RESERVED_BYTES = 1 << 10
"""What every block takes beside its own."""

BARRIER_BYTES = 512
SMALL = 200
"""Points up to which the registers suffice for two blocks."""

MOST_WEIGHT_STAGES, MOST_INPUT_STAGES = 16, 8

PLACES = (
    (132, 132, 117, 120, 110, 102, 105, 120),
    (264, 264, 237, 248, 235, 234, 224, 240),
)
"""Blocks of clusters of 1 to 8 that run at once on an H200, as its driver tells: where a
multiprocessor takes one, and where it takes two."""


@dataclass(frozen=True)
class Tile:
    """Rows and columns of the output and output channels that a block computes, of how many images,
    and the blocks that share each sum."""

    rows: int
    columns: int
    outputs: int
    split: int = 1
    images: int = 1

    @property
    def name(self) -> str:
        """Such as 13x13x64, of eight blocks 13x13x64-8, and of three images 3x7x7x64."""
        images = f"{self.images}x" if self.images > 1 else ""
        split = f"-{self.split}" if self.split > 1 else ""
        return f"{images}{self.rows}x{self.columns}x{self.outputs}{split}"

    @staticmethod
    def named(name: str) -> Tile | None:
        """The tile of this name; None where it is none."""
        sizes, *split = name.split("-")
        try:
            *images, rows, columns, outputs = map(int, sizes.split("x"))
            made = Tile(rows, columns, outputs, *map(int, split or ["1"]), *images)
        except (ValueError, TypeError):
            return None
        usable = rows > 0 and columns > 0 and outputs in (64, 128) and made.split in SPLITS
        return made if usable and made.name == name else None


def chunk_of(channels: int) -> int:
    """Channels that come into shared memory together: many, but few that are not there."""
    least = min(-(-channels // size) * size for size in CHUNKS)
    return next(size for size in CHUNKS if -(-channels // size) * size <= 1.15 * least)


@dataclass(frozen=True)
class Geometry:
    """A tile laid over a convolution [images, channels, rows, columns] -> [.., outputs, ..]."""

    tile: Tile
    window: SlidingWindow
    images: int
    channels: int
    outputs: int
    output: tuple[int, int]

    @property
    def groups(self) -> int:
        """Warpgroups of a block."""
        return self.tile.outputs // GROUP_OUTPUTS

    @property
    def taps(self) -> int:
        """Of the window."""
        return prod(self.window.kernel)

    @cached_property
    def chunk(self) -> int:
        """Channels of a chunk."""
        return chunk_of(self.channels)

    @property
    def chunks(self) -> int:
        """Of all channels."""
        return -(-self.channels // self.chunk)

    @cached_property
    def taps_of_stage(self) -> int:
        """Taps of the window whose weights are one stage of the ring."""
        most = max(MOST_STEPS // self.groups // self.steps_of_tap, 1)
        return max(k for k in range(1, most + 1) if self.taps % k == 0)

    @property
    def steps_of_tap(self) -> int:
        """Instructions for one tap of a chunk."""
        return self.chunk // STEP

    @property
    def steps_of_stage(self) -> int:
        """Instructions for one stage of weights."""
        return self.taps_of_stage * self.steps_of_tap

    @property
    def stages_of_chunk(self) -> int:
        """Stages of weights for one chunk."""
        return self.taps // self.taps_of_stage

    @cached_property
    def most_stages(self) -> int:
        """Stages of weights that one block sums over."""
        return -(-self.chunks * self.stages_of_chunk // self.tile.split)

    @cached_property
    def most_chunks(self) -> int:
        """Chunks that these stages are of."""
        split, whole = self.tile.split, self.chunks * self.stages_of_chunk
        edges = [rank * whole // split for rank in range(split + 1)]
        size = self.stages_of_chunk
        return max((end - 1) // size + 1 - start // size for start, end in pairwise(edges))

    @property
    def steps(self) -> int:
        """Instructions of one warpgroup."""
        return self.most_stages * self.steps_of_stage

    @cached_property
    def planes(self) -> tuple[int, int]:
        """Every how many-th row and column lies together in shared memory, so that neighbours in
        the output are neighbours there; planes that no tap reads are left out at the end."""
        window = self.window
        axes = zip(window.kernel, window.strides, window.dilations, strict=True)
        down, across = (
            1 + max(tap * dilation % stride for tap in range(size))
            for size, stride, dilation in axes
        )
        return down, across

    @property
    def plane(self) -> tuple[int, int]:
        """Rows and columns of an image in a plane."""
        window, tile = self.window, self.tile
        axes = zip(
            (tile.rows, tile.columns), window.kernel, window.strides, window.dilations, strict=True
        )
        rows, columns = (
            extent + (size - 1) * dilation // stride for extent, size, stride, dilation in axes
        )
        return rows, columns

    @property
    def is_strip(self) -> bool:
        """Whether eight points follow each other by the pitch of a plane."""
        return self.tile.columns == STRIP

    @property
    def row_points(self) -> int:
        """Points from row to row as the instruction counts them."""
        return STRIP if self.is_strip else self.plane[1]

    @property
    def points(self) -> int:
        """Of the instruction: some lie between the tile's rows."""
        tile = self.tile
        rows = (tile.images - 1) * self.plane[0] + tile.rows
        last = (rows - 1) * self.row_points + tile.columns
        return -(-last // 8) * 8

    def shift(self, tap: int) -> int:
        """How many slots away a tap's points lie."""
        window = self.window
        y, x = divmod(tap, window.kernel[1])
        down, across = y * window.dilations[0], x * window.dilations[1]
        rows, pitch = self.plane
        plane = down % window.strides[0] * self.planes[1] + across % window.strides[1]
        row, column = down // window.strides[0], across // window.strides[1]
        return (plane * self.tile.images * rows + row) * pitch + column

    @cached_property
    def slots(self) -> int:
        """Points of a chunk in shared memory: all that are read, and an odd number of them."""
        rows, pitch = self.plane
        last = self.points - 1
        reach = last // STRIP * pitch + last % STRIP if self.is_strip else last
        read = reach + max(self.shift(tap) for tap in range(self.taps)) + 1
        return max(read, self.tile.images * rows * pitch * prod(self.planes)) | 1

    @property
    def chunk_bytes(self) -> int:
        """Of a chunk in shared memory."""
        return self.slots * self.chunk * 2

    @property
    def stage_bytes(self) -> int:
        """Of a stage of weights."""
        return self.groups * self.steps_of_stage * STEP * GROUP_OUTPUTS * 2

    @property
    def neighbours(self) -> int:
        """Blocks that one processor shall take at once: while one loads or stores, the other
        multiplies. Where there are few blocks each may have all of the memory."""
        small = self.groups == 1 and self.points <= SMALL
        return 2 if small and prod(self.grid) > PLACES[0][self.tile.split - 1] else 1

    @cached_property
    def stages(self) -> tuple[int, int] | None:
        """Stages of the input and of the weights; None where they find no room."""
        for share in range(self.neighbours, 0, -1):
            found = self._stages(SHARED_BYTES // share - (share - 1) * RESERVED_BYTES)
            if found is not None:
                return found
        return None

    def _stages(self, shared_bytes: int) -> tuple[int, int] | None:
        room = shared_bytes - BARRIER_BYTES - self.slots * 4
        # The products of two stages run at once; more copies come meanwhile.
        least = min(self.most_chunks, 2 if self.stages_of_chunk > 1 else 3)
        wanted = self.most_stages
        fewest = min(wanted, 4)
        for given in range(min(self.most_chunks, MOST_INPUT_STAGES), least - 1, -1):
            left = (room - given * self.chunk_bytes) // self.stage_bytes
            enough = min(wanted, 6) if given > least else fewest
            if left >= enough:
                return given, min(left, wanted, MOST_WEIGHT_STAGES)
        return None

    @property
    def shared_bytes(self) -> int:
        """Of a block: rings and table, and the sums that lie there when they are done."""
        inputs, weights = self.stages or (0, 0)
        rings = inputs * self.chunk_bytes + weights * self.stage_bytes + self.slots * 4
        return BARRIER_BYTES + max(rings, self.points * (self.tile.outputs + 4) * 4)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tiles of all images, of the output channels, blocks that share a sum."""
        tile = self.tile
        down, across = self.tiles
        images = -(-self.images // tile.images)
        return images * down * across, -(-self.outputs // tile.outputs), tile.split

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles of an image, down and across."""
        tile = self.tile
        return -(-self.output[0] // tile.rows), -(-self.output[1] // tile.columns)

    @property
    def threads(self) -> int:
        """Warpgroups that multiply, and one that loads."""
        return self.groups * 128 + 128

    @property
    def fits(self) -> bool:
        """Whether a block can be so."""
        return (
            8 <= self.points <= MOST_POINTS
            and self.taps <= MOST_TAPS
            and self.tile.split <= self.chunks * self.stages_of_chunk
            and (self.tile.images == 1 or self.tiles == (1, 1))
            and self.stages is not None
            and self.shared_bytes <= SHARED_BYTES
            and -(-self.outputs // GROUP_OUTPUTS) % self.groups == 0
        )

    @cached_property
    def together(self) -> int:
        """Blocks that one processor takes at once."""
        fit = (SHARED_BYTES + RESERVED_BYTES) // (self.shared_bytes + RESERVED_BYTES)
        return min(fit, self.neighbours)

    @property
    def turns(self) -> float:
        """How many times as many blocks there are as run at once."""
        return prod(self.grid) / PLACES[self.together - 1][self.tile.split - 1]
