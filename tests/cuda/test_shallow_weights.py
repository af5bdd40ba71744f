"""How weights of first layers are packed: a step's products, as the tensor cores make them."""

from __future__ import annotations

import numpy as np
import pytest

from plugrt.builtin_layers.convolution import shallow_cuda
from plugrt.builtin_layers.convolution.shallow_cuda import MOST_CHANNELS, OUTPUTS
from plugrt.plugins import Array, DataType

GROUP = 8


def outputs_of(packed: Array, steps: Array) -> Array:
    """All outputs of one window, of which `steps` [step, quarter, 4] are the elements that the
    four threads of a row bring."""
    factors = packed.view(np.float16).astype(np.float64).swapaxes(3, 4)
    blocks, _, pairs, _, _, _ = factors.shape
    tiles = 2 * pairs
    by_column = factors.reshape(blocks, -1, tiles, 8, 4, 4)
    sums = np.einsum("bstnqe,sqe->btn", by_column, steps)
    tile, column = np.mgrid[:tiles, :8]
    place = 32 * (tile // 4) + 8 * (column // 2) + 2 * (tile % 4) + column % 2
    found = np.zeros((blocks, tiles * OUTPUTS))
    found[:, place] = sums
    return found.reshape(-1)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("side", "outputs", "tiles"), [(7, 64, 8), (5, 24, 4), (11, 96, 8)])
def test_products_are_those_of_the_window(
    side: int, outputs: int, tiles: int, dense: bool
) -> None:
    random = np.random.default_rng(0)
    weights = random.integers(-8, 8, (outputs, 3, side, side)).astype(np.float32)
    width = (-(-side * 3 // GROUP) * GROUP) if dense else shallow_cuda.padded_width(side)
    if dense:  # rows of elements, beyond the window other points
        rows = random.integers(-8, 8, (side, width)).astype(np.float64)
        points = rows[:, : side * 3].reshape(side, side, 3)
        groups = rows.reshape(-1, GROUP)
        groups = np.concatenate([groups, np.zeros((len(groups) % 2, GROUP))])
        steps = groups.reshape(-1, 2, 4, 2).transpose(0, 2, 1, 3).reshape(-1, 4, 4)
        packed = shallow_cuda.pack_dense(weights, DataType.FLOAT16, tiles)
    else:
        image = random.integers(-8, 8, (side, width, MOST_CHANNELS)).astype(np.float64)
        points = image[:, :side, :3]
        steps = image.reshape(-1, 4, MOST_CHANNELS)
        packed = shallow_cuda.pack(weights, DataType.FLOAT16, tiles)
    wanted = np.einsum("mchw,hwc->m", weights, points)
    np.testing.assert_array_equal(outputs_of(packed, steps)[:outputs], wanted)
