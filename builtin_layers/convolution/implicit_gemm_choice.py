"""Which tiles of a convolution on Hopper's tensor cores are worth timing: a guess of how long each
takes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ..sliding_window import SlidingWindow
from .implicit_gemm_tiles import (
    GROUP_OUTPUTS,
    MOST_POINTS,
    PLACES,
    SPLITS,
    STRIP,
    Geometry,
    Tile,
)

BEGIN, CLUSTER, STAGE, BARRIER = 1660.0, 1010.0, 163.0, 91.0
"""Nanoseconds that a block takes to begin and that sharing sums costs; those between two stages
where a multiprocessor has one warpgroup for products; and those for each stage of both rings."""

FILL = 0.37
"""How much of both rings comes before the first product."""

PRODUCTS, BYTES, SUMS, SHARED = 1.84, 79.0, 4.56, 11.2
"""What a multiprocessor does in a nanosecond: points of an instruction, divided by two; bytes that
it loads; sums that it stores; and bytes that it reads of other blocks' sums. All of these are
fitted to 240 times of 30 convolutions on an H200: they foretell times, and are not what a
multiprocessor is said to do."""

ALIKE, WORST = 48, 2.0
"""Of those offered, by how many points they differ, or else in other things, and how much slower
than the best they may seem."""


def cost(laid: Geometry) -> float:
    """A guess of its time, in nanoseconds: products or bytes, whichever take longer, for as many
    blocks as one processor does in turn, and what a block takes to begin and to end."""
    together, split = laid.together, laid.tile.split
    turns = laid.turns if laid.turns > 3 else ceil(laid.turns)
    products = laid.steps * laid.groups * max(laid.points / 2, 32) / PRODUCTS * together
    gaps = laid.most_stages * STAGE if together * laid.groups == 1 else 0
    inputs, weights = laid.stages or (0, 0)
    loads = laid.most_stages * laid.stage_bytes + laid.most_chunks * laid.chunk_bytes
    ring = weights * laid.stage_bytes + inputs * laid.chunk_bytes
    begin = BEGIN + (inputs + weights) * BARRIER + min(ring, loads) * FILL / BYTES
    sums = laid.points * laid.tile.outputs * together
    end = sums / split / SUMS
    if split > 1:
        end += CLUSTER + sums * 4 * (split - 1) / split / SHARED
    return turns * (begin + max(products + gaps, loads * together / BYTES) + end)


def geometries(
    window: SlidingWindow, images: int, channels: int, outputs: int, output: tuple[int, int]
) -> list[Geometry]:
    """Those that fit and may be fast, the most promising first."""
    groups = -(-outputs // GROUP_OUTPUTS)
    found = {
        tile: Geometry(tile, window, images, channels, outputs, output)
        for tile in _tiles(images, output, groups)
    }
    return sorted((one for one in found.values() if one.fits), key=cost)


def promising(found: list[Geometry]) -> list[Geometry]:
    """Of geometries in the order of their costs the first of each kind: a guess may be wrong in the
    same way for all of them."""
    kept: list[Geometry] = []
    kinds: set[tuple[int, int, int]] = set()
    for one in found:
        kind = one.tile.outputs, one.tile.split, one.points // ALIKE
        if kind not in kinds and cost(one) < WORST * cost(found[0]):
            kinds.add(kind)
            kept.append(one)
    return kept


def _tiles(images: int, output: tuple[int, int], groups: int) -> Iterator[Tile]:
    rows, columns = output
    for count, height, width in _sizes(images, output):
        tiles = -(-images // count) * -(-rows // height) * -(-columns // width)
        for wide in (1, 2) if groups % 2 == 0 else (1,):
            for split in SPLITS:
                # Whoever has work for all processors need not share it.
                if split == 1 or tiles * groups // wide * split <= PLACES[1][split - 1]:
                    yield Tile(height, width, wide * GROUP_OUTPUTS, split, count)


def _sizes(images: int, output: tuple[int, int]) -> Iterator[tuple[int, int, int]]:
    """Images, rows and columns of tiles: all of several small images, or a part of one."""
    rows, columns = output
    for width in {columns, max(columns, STRIP)}:
        for count in range(2, min(images, MOST_POINTS // (rows * width)) + 1):
            yield count, rows, width
    for width in {-(-columns // count) for count in (1, 2, 4, 8)} | {STRIP, 16, 32}:
        if width <= max(columns, STRIP):
            for height in {-(-rows // count) for count in range(1, rows + 1)}:
                if 24 <= height * width <= MOST_POINTS:
                    yield 1, height, width
