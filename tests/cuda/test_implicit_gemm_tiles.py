"""Tiles of the convolution on Hopper's tensor cores, without a GPU: what its blocks would read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from math import prod

import numpy as np
import pytest

from plugrt.builtin_layers.convolution import (
    candidates_cuda,
    implicit_gemm_choice,
    implicit_gemm_cuda,
    implicit_gemm_tiles,
)
from plugrt.builtin_layers.convolution.implicit_gemm_tiles import Geometry, Tile
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.convolution.reference import convolve
from plugrt.builtin_layers.sliding_window import SlidingWindow
from plugrt.plugins import Array, DataType, Format
from tests.cuda.test_tiles import H200, LAST, problem


def geometry(
    tile: Tile, *, channels: int = 24, outputs: int = 70, kernel: tuple[int, int] = (3, 3),
    stride: int = 1, dilation: int = 1, pad: int = 1, sides: tuple[int, int] = (11, 14),
    images: int = 1,
) -> tuple[Geometry, SlidingWindow]:  # fmt: skip
    """The geometry over images of these sides."""
    window = SlidingWindow.of(
        "test", kernel, (stride,) * 2, (dilation,) * 2, (pad, pad, pad, pad)
    )
    rows, columns = (int(size) for size in window.output_sizes("test", sides))  # type: ignore
    return Geometry(tile, window, images, channels, outputs, (rows, columns)), window


def computed(one: Geometry, source: Array, weights: Array) -> Array:
    """What implicit_gemm.cu computes, tile by tile, from slots and packed weights."""
    tile, window = one.tile, one.window
    packed = implicit_gemm_cuda.pack(weights, DataType.FLOAT32)
    rows, pitch = one.plane
    result = np.full((one.images, one.outputs, *one.output), np.nan, np.float32)
    tiles = (-(-one.images // tile.images), *one.tiles)
    for first, down, across in np.ndindex(*tiles):
        i0, y0, x0 = first * tile.images, down * tile.rows, across * tile.columns
        total = np.zeros((packed.shape[0] * 64, one.points), np.float32)
        for chunk in range(one.chunks):
            slots = np.zeros((one.slots, one.chunk), np.float32)
            for slot in range(one.slots):
                line, column = divmod(slot, pitch)
                image, line = divmod(line, rows)
                plane, image = divmod(image, tile.images)
                y = (y0 + line) * window.strides[0] - window.before[0] + plane // one.planes[1]
                x = (x0 + column) * window.strides[1] - window.before[1] + plane % one.planes[1]
                inside = 0 <= y < source.shape[2] and 0 <= x < source.shape[3]
                if inside and i0 + image < one.images:
                    part = source[i0 + image, chunk * one.chunk : (chunk + 1) * one.chunk, y, x]
                    slots[slot, : len(part)] = part
            count = np.arange(one.points)
            places = count // 8 * pitch + count % 8 if one.is_strip else count
            for tap, part in product(range(one.taps), range(one.chunk // 16)):
                read = slots[places + one.shift(tap), part * 16 : part * 16 + 16]
                factor = packed[:, chunk, tap, part].transpose(0, 2, 1, 3).reshape(-1, 16)
                total += factor @ read.T
        for image, row, column in np.ndindex(tile.images, tile.rows, tile.columns):
            i, y, x = i0 + image, y0 + row, x0 + column
            if i < one.images and y < one.output[0] and x < one.output[1]:
                point = (image * rows + row) * one.row_points + column
                result[i, :, y, x] = total[: one.outputs, point]
    return result


@pytest.mark.parametrize(
    ("tile", "options"),
    [
        (Tile(5, 7, 64), {}),
        (Tile(4, 8, 64), {}),
        (Tile(11, 14, 64), {"channels": 40}),
        (Tile(3, 14, 64), {"kernel": (1, 1), "pad": 0}),
        (Tile(3, 5, 64), {"stride": 2}),
        (Tile(4, 8, 64), {"stride": 2, "kernel": (1, 1), "pad": 0}),
        (Tile(4, 4, 64), {"stride": 3, "kernel": (2, 3)}),
        (Tile(5, 8, 64), {"dilation": 2, "pad": 2}),
        (Tile(3, 4, 64), {"dilation": 3, "stride": 2, "pad": 3}),
        (Tile(4, 5, 64), {"kernel": (5, 5), "pad": 2}),
        (Tile(5, 7, 64, images=2), {"images": 3, "sides": (5, 7)}),
        (Tile(5, 8, 64, images=3), {"images": 3, "sides": (5, 7)}),
        (Tile(4, 4, 64, images=2), {"images": 2, "sides": (7, 7), "stride": 2}),
        (Tile(4, 5, 64, images=3), {"images": 4, "sides": (4, 5), "kernel": (1, 1), "pad": 0}),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_slots_and_packed_weights_give_the_convolution(
    tile: Tile, options: dict[str, object]
) -> None:
    one, window = geometry(tile, **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    sides = options.get("sides", (11, 14))
    shape = (one.images, one.channels, *sides)  # type: ignore[misc]
    source = rng.integers(-4, 5, shape).astype(np.float32)
    weights = rng.integers(-4, 5, (one.outputs, one.channels, *window.kernel))
    weights = weights.astype(np.float32)
    expected = convolve(source, weights, None, window, 1)
    np.testing.assert_array_equal(computed(one, source, weights), expected)


def test_names_are_read_back() -> None:
    for tile in (Tile(13, 13, 64), Tile(7, 8, 128, 8), Tile(7, 7, 64, 2, 3)):
        assert Tile.named(tile.name) == tile
    for name in ("", "13x13", "13x13x64-", "13x13x64-1", "13x13x64-9", "0x8x64", "8x8x65", "axbxc"):
        assert Tile.named(name) is None, name


@pytest.mark.parametrize("channels", [8, 16, 24, 64, 96, 144, 1024])
def test_chunks_hold_all_channels_and_little_else(channels: int) -> None:
    chunk = implicit_gemm_tiles.chunk_of(channels)
    padded = -(-channels // chunk) * chunk
    assert channels <= padded < 1.16 * (-(-channels // 16) * 16)


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "kernel", "stride"),
    [(1024, 1024, 13, 3, 1), (64, 255, 52, 1, 1), (32, 64, 416, 3, 2), (2048, 512, 7, 1, 1),
     (128, 128, 28, 5, 1)],
)  # fmt: skip
def test_what_is_offered_fits(
    channels: int, outputs: int, side: int, kernel: int, stride: int
) -> None:
    window = SlidingWindow.of(
        "test", (kernel,) * 2, (stride,) * 2, (1, 1), (kernel // 2,) * 4
    )
    extent = -(-side // stride)
    found = implicit_gemm_choice.geometries(window, 1, channels, outputs, (extent, extent))
    assert found
    assert len({one.tile.name for one in found}) == len(found)
    for one in found:
        stages = one.stages
        assert stages is not None
        assert one.shared_bytes <= implicit_gemm_tiles.SHARED_BYTES
        assert one.stages_of_chunk * one.steps_of_stage == one.taps * one.chunk // 16
        assert one.slots % 2 == 1
        last = one.points - 1
        reach = last // 8 * one.plane[1] + last % 8 if one.is_strip else last
        assert reach + max(map(one.shift, range(one.taps))) < one.slots
        assert prod(one.tiles) * one.tile.rows * one.tile.columns >= extent * extent
        barriers = 8 * 2 * sum(stages)
        assert barriers <= implicit_gemm_tiles.BARRIER_BYTES


@pytest.mark.parametrize("split", implicit_gemm_tiles.SPLITS[1:])
@pytest.mark.parametrize(("channels", "kernel"), [(520, 1), (200, 3), (64, 3), (1024, 3)])
def test_blocks_that_share_a_sum_have_almost_equal_parts(
    split: int, channels: int, kernel: int
) -> None:
    one, _ = geometry(
        Tile(4, 8, 64, split), channels=channels, kernel=(kernel, kernel), pad=kernel // 2
    )
    stages = one.chunks * one.stages_of_chunk
    if split > stages:
        assert not one.fits
        return
    edges = [rank * stages // split for rank in range(split + 1)]  # as implicit_gemm.cu
    parts = [range(start, end) for start, end in pairwise(edges)]
    assert all(one.most_stages - 1 <= len(part) <= one.most_stages for part in parts)
    chunks = [{stage // one.stages_of_chunk for stage in part} for part in parts]
    assert max(map(len, chunks)) == one.most_chunks


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were an H200."""
    monkeypatch.setattr(implicit_gemm_cuda, "available", lambda: True)
    monkeypatch.setattr(implicit_gemm_cuda, "device_properties", lambda ordinal: H200)


@pytest.mark.usefixtures("on")
def test_a_hopper_is_offered_several_tiles() -> None:
    of = problem(512, 512, 7, 3)
    names = [found.tactic.name for found in implicit_gemm_cuda.candidates(of)]
    assert 1 < len(names) <= implicit_gemm_cuda.MOST
    for name in names:
        (found,) = implicit_gemm_cuda.candidates(of, name)
        assert found.tactic.name == name
        assert found.prepare()
    kernels = candidates_cuda.compilations(of, names)
    assert len(kernels) == len(names)
    assert all(kernel.architectures == ("sm_90a",) for kernel in kernels)  # type: ignore[attr-defined]


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 9), (10, 0), (12, 0)])
@pytest.mark.usefixtures("on")
def test_other_gpus_are_offered_none(
    capability: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(H200, compute_capability=capability)
    monkeypatch.setattr(implicit_gemm_cuda, "device_properties", lambda ordinal: other)
    of = problem(512, 512, 7, 3)
    assert list(implicit_gemm_cuda.candidates(of)) == []
    (named,) = implicit_gemm_cuda.candidates(of, "cuda:gemm:7x7x64")
    assert not named.prepare()
    output = replace(of.output, format=Format.LINEAR)
    assert not implicit_gemm_cuda.takes(of.source, of.weights, output, 1)


@pytest.mark.usefixtures("on")
@pytest.mark.parametrize(
    "other",
    [problem(20, 64, 7), problem(64, 64, 7, dtype=DataType.FLOAT32),
     problem(64, 64, 7, form=Format.LINEAR), replace(problem(64, 64, 7), groups=2)],
)  # fmt: skip
def test_problems_that_the_kernel_does_not_take(other: ConvolutionProblem) -> None:
    assert list(implicit_gemm_cuda.candidates(other)) == []


@pytest.mark.usefixtures("on")
def test_heads_are_written_in_the_order_of_arrays() -> None:
    of = problem(512, 255, 13)
    output = replace(of.output, format=Format.LINEAR, dtype=DataType.FLOAT32)
    assert of.source.format is LAST
    assert implicit_gemm_cuda.takes(of.source, of.weights, output, 1)
    assert list(implicit_gemm_cuda.candidates(replace(of, output=output)))
