"""Which tiles are offered for a convolution, and in what order."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from plugrt.builtin_layers.convolution import candidates_cuda, tiles_cuda
from plugrt.builtin_layers.convolution.problem import ConvolutionProblem
from plugrt.builtin_layers.convolution.tile_choice import TILES, Tile
from plugrt.builtin_layers.products_cuda import FullyConnectedWays
from plugrt.builtin_layers.sliding_window import SlidingWindow
from plugrt.plugins import DataType, Epilogue, Format, Tactic, TensorDesc
from plugrt.plugins.native.cuda import cublaslt
from plugrt.plugins.native.cuda.devices import DeviceProperties

LAST = Format.CHANNELS_LAST
HALF = DataType.FLOAT16

H200 = DeviceProperties(
    ordinal=0, name="GPU", compute_capability=(9, 0), multiprocessors=132,
    threads_per_multiprocessor=2048, l2_bytes=60 << 20, memory_bytes=141 << 30,
    shared_bytes_per_block=227 << 10, shared_bytes_per_multiprocessor=228 << 10,
    registers_per_multiprocessor=65536, memory_pools=True, uuid="",
)  # fmt: skip
SMALL = replace(
    H200, compute_capability=(8, 6), multiprocessors=28, shared_bytes_per_block=99 << 10
)


def problem(
    channels: int, outputs: int, side: int, kernel: int = 1, batch: int = 1,
    dtype: DataType = HALF, form: Format = LAST,
) -> ConvolutionProblem:  # fmt: skip
    """A convolution that keeps the size of its image."""
    source = TensorDesc(dtype, (batch, channels, side, side), form)
    values = np.zeros((outputs, channels, kernel, kernel), np.float16)
    weights = TensorDesc(HALF, values.shape, value=values)
    output = replace(source, shape=(batch, outputs, side, side))
    before = (kernel // 2,) * 2
    window = SlidingWindow((kernel,) * 2, (1, 1), (1, 1), before, before)
    return ConvolutionProblem(
        (source, weights), source, weights, None, output, window, 1, Epilogue(), 1, "cuda"
    )


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were an H200."""
    monkeypatch.setattr(tiles_cuda, "_first_gpu", lambda: H200)


def names(of: ConvolutionProblem, tactic: str | None = None) -> list[str]:
    return [found.tactic.name for found in tiles_cuda.candidates(of, tactic)]


@pytest.mark.parametrize("tile", [*TILES, replace(TILES[0], split=8)])
def test_names_lead_back(tile: Tile) -> None:
    assert Tile.named(tile.name) == tile
    assert names(problem(64, 64, 7), f"cuda:tiles:{tile.name}") == [f"cuda:tiles:{tile.name}"]


@pytest.mark.parametrize(
    "name",
    ["", "16x32", "16x32x64-1x1-4", "axbxc-1x1x4-4", "1-2-3-4-5", "0x32x64-1x1x4-4"],
)
def test_other_names_are_none_of_ours(name: str) -> None:
    assert Tile.named(name) is None
    assert names(problem(64, 64, 7), f"cuda:tiles:{name}") == []


@pytest.mark.usefixtures("on")
def test_small_images_get_small_tiles_and_shared_sums() -> None:
    few = [Tile.named(name.split(":")[-1]) for name in names(problem(512, 512, 7, 3))]
    assert len(few) == tiles_cuda.MOST_TILES
    assert any(tile is not None and tile.split > 1 for tile in few)
    many = [Tile.named(name.split(":")[-1]) for name in names(problem(512, 512, 56, 3, 32))]
    assert all(tile is not None and tile.split == 1 for tile in many)
    assert many[0] is not None
    assert many[0].points >= 128


def test_what_a_gpu_lacks_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles_cuda, "_first_gpu", lambda: SMALL)
    found = [Tile.named(name.split(":")[-1]) for name in names(problem(512, 512, 7, 3))]
    assert found
    for tile in found:
        assert tile is not None
        assert tile.split == 1
        assert tile.shared_bytes <= SMALL.shared_bytes_per_block
    monkeypatch.setattr(tiles_cuda, "_first_gpu", lambda: replace(H200, compute_capability=(7, 5)))
    assert names(problem(512, 512, 7, 3)) == []
    monkeypatch.setattr(tiles_cuda, "_first_gpu", lambda: None)
    assert names(problem(512, 512, 7, 3)) == []


@pytest.mark.usefixtures("on")
@pytest.mark.parametrize(
    "other",
    [problem(20, 64, 7), problem(64, 64, 7, dtype=DataType.FLOAT32),
     problem(64, 64, 7, form=Format.LINEAR), problem(8, 8, 1 << 10, batch=1 << 11)],
)  # fmt: skip
def test_problems_that_the_kernel_does_not_take(other: ConvolutionProblem) -> None:
    assert names(other) == []
    assert not tiles_cuda.is_brief(other)


@pytest.mark.usefixtures("on")
def test_brief_problems_begin_with_our_own_kernels() -> None:
    first = next(iter(candidates_cuda.candidates(problem(64, 255, 13))))
    assert first.tactic.name.startswith("cuda:tiles:")
    assert tiles_cuda.is_brief(problem(64, 255, 13))
    assert not tiles_cuda.is_brief(problem(512, 512, 28, 3, 32))


@pytest.mark.usefixtures("on")
def test_what_tactics_need_compiled() -> None:
    one = problem(64, 64, 7)
    wanted = names(one)
    kernels = candidates_cuda.compilations(one, [*wanted, "cuda:direct"])
    assert len(kernels) == len(set(wanted))


@pytest.mark.usefixtures("on")
def test_sums_may_be_stored_as_they_are() -> None:
    one = problem(64, 255, 13)
    single = replace(one, output=replace(one.output, dtype=DataType.FLOAT32))
    assert names(single) == names(one)[: tiles_cuda.MOST_FOR_SUMS]
    for number, function in ((0, "plugrt::float16"), (1, "float")):
        (kernel,) = candidates_cuda.compilations((one, single)[number], names(one)[:1])
        assert f"<plugrt::float16, {function}, " in kernel.function


def connected(
    shape: tuple[int, ...], outputs: int, result: DataType = HALF, form: Format = Format.LINEAR
) -> FullyConnectedWays:
    """A product with constant weights."""
    depth = prod(shape[1:])
    weights = TensorDesc(HALF, (outputs, depth), value=np.zeros((outputs, depth), np.float16))
    output = TensorDesc(result, (shape[0], outputs))
    return FullyConnectedWays([TensorDesc(HALF, shape, form), weights], output, Epilogue())


@pytest.mark.usefixtures("on")
@pytest.mark.parametrize("result", [HALF, DataType.FLOAT32])
def test_small_products_begin_with_tiles(result: DataType) -> None:
    ways = connected((1, 1280), 1000, result)
    first = ways.tactics(None)[0]
    assert first.name.startswith("cuda:tiles:")
    assert not first.strided_inputs  # rows of a matrix follow each other
    assert ways.workspace_size(first) == 0
    (kernel,) = ways.compilations([first, Tactic("cuda:tiles")])
    assert kernel.function.startswith("convolution_tiles")
    assert ways.tactics(first.name) == [first]


@pytest.mark.usefixtures("on")
def test_what_is_no_convolution_of_points() -> None:
    assert connected((2, 16, 3, 5), 8).as_points() is not None
    assert connected((2, 16, 1, 1), 8, form=LAST).as_points() is not None
    assert connected((2, 16, 3, 5), 8, form=LAST).as_points() is None  # in another order
    assert [t.name for t in connected((2, 20), 8).tactics(None)] == ["cuda:tiles"]
    large = connected((512, 4096), 4096).tactics(None)
    assert large
    assert not large[0].name.startswith("cuda:tiles:") or not cublaslt.available()
