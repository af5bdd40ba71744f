"""Sections of one input other than convolution and pooling, and all activations, by their
definitions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plugrt.plugins import Array
from tests.yolo.section_runs import assert_near, run_sections
from yolo_example.parsing.activations import ACTIVATIONS

WriteCfg = Callable[[str], Path]


def stair(x: Array) -> Array:
    whole = np.floor(x)
    return np.where(whole % 2 == 0, np.floor(x / 2), x - whole + np.floor(x / 2))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "revleaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "relie": lambda x: np.where(x > 0, x, 0.01 * x),
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "loggy": lambda x: 2 / (1 + np.exp(-x)) - 1,
    "tanh": np.tanh,
    "elu": lambda x: np.where(x >= 0, x, np.exp(x) - 1),
    "selu": lambda x: 1.0507 * np.where(x >= 0, x, 1.6732 * (np.exp(x) - 1)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.797885 * x + 0.035677 * x**3)),
    "hardtan": lambda x: np.clip(x, -1, 1),
    "lhtan": lambda x: np.where(x < 0, 0.001 * x, np.where(x > 1, 0.001 * (x - 1) + 1, x)),
    "plse": lambda x: np.where(
        x < -4, 0.01 * (x + 4), np.where(x > 4, 0.01 * (x - 4) + 1, 0.125 * x + 0.5)
    ),
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "stair": stair,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "hard_mish": lambda x: np.where(x > 0, x, np.where(x > -2, x * x / 2 + x, 0)),
    "swish": lambda x: x / (1 + np.exp(-x)),
}


def over_channels(x: Array, name: str) -> Array:
    if name == "normalize_channels":
        positive = np.maximum(x, 0)
    else:
        shift = x.max(axis=1, keepdims=True) if name.endswith("maxval") else 0
        positive = np.exp(x - shift)
    return positive / (1e-4 + positive.sum(axis=1, keepdims=True))


def spread_values() -> Array:
    """Both signs, beyond every limit, whole numbers among them."""
    values = np.random.default_rng(3).uniform(-8, 8, (2, 4, 9, 12))
    values[0, 0] = np.linspace(-9, 9, 9)[:, np.newaxis] + np.arange(12) * 0.25
    return values.astype(np.float32)


def test_every_activation_is_tested_here() -> None:
    channelwise = {name for name, found in ACTIVATIONS.items() if found.joins_channels}
    assert FUNCTIONS.keys() == ACTIVATIONS.keys() - channelwise
    assert channelwise == {
        "normalize_channels", "normalize_channels_softmax", "normalize_channels_softmax_maxval",
    }  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations(write_cfg: WriteCfg, name: str) -> None:
    values = spread_values()
    expected = FUNCTIONS[name](values.astype(np.float64))
    run = run_sections(write_cfg, f"activation activation={name}", values=values)
    assert_near(run.result, expected)
    # The same, fused into what precedes it.
    run = run_sections(write_cfg, f"maxpool size=1|activation activation={name}", values=values)
    assert_near(run.result, expected)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if ACTIVATIONS[n].joins_channels])
def test_activations_over_channels(write_cfg: WriteCfg, name: str) -> None:
    options = "filters=5 size=3 activation="
    values = run_sections(write_cfg, f"convolutional {options}linear").result.astype(float)
    result = run_sections(write_cfg, f"convolutional {options}{name}").result
    assert_near(result, over_channels(values, name))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_random_weights_suit_every_activation(write_cfg: WriteCfg, activation: str) -> None:
    block = f"|convolutional filters=16 size=3 pad=1 activation={activation}"
    run = run_sections(write_cfg, block[1:] + block * 5)
    assert 0.2 < np.std(run.result) / np.sqrt(ACTIVATIONS[activation].power_for(16)) < 5


@pytest.mark.parametrize(
    ("variant", "deviation"),
    [
        ("opencv", lambda v: np.sqrt(v + 1e-6)),
        ("darknet", lambda v: np.sqrt(v) + 1e-6),
        ("fork", lambda v: np.sqrt(v + 1e-5)),
    ],
)
def test_batchnorm(write_cfg: WriteCfg, variant: str, deviation: Callable[[Array], Array]) -> None:
    run = run_sections(write_cfg, "batchnorm", batch_norm=variant)
    scales, means, variances = (
        run.blobs[0][name].astype(float)[:, None, None] for name in ("scales", "means", "variances")
    )
    expected = (run.input - means) / deviation(variances) * scales
    assert ("biases" in run.blobs[0]) == (variant == "fork")
    if variant == "fork":
        expected = expected + run.blobs[0]["biases"][:, None, None]
    assert_near(run.result, expected)


def test_upsample_and_its_reverse(write_cfg: WriteCfg) -> None:
    net = "channels=2 height=6 width=9"
    run = run_sections(write_cfg, "upsample stride=2 scale=.5|upsample stride=-3 scale=2", net=net)
    assert_near(run.outputs[0], 0.5 * run.input.repeat(2, axis=2).repeat(2, axis=3))
    blocks = run.outputs[0].reshape(2, 2, 4, 3, 6, 3)
    assert_near(run.result, 2.0 * blocks.sum(axis=(3, 5)))
    assert_near(
        run_sections(write_cfg, "upsample stride=-1", net=net).result, run.input, tolerance=0
    )


def test_crop_takes_the_middle(write_cfg: WriteCfg) -> None:
    run = run_sections(write_cfg, "crop crop_height=4 crop_width=7 flip=1 shift=.3 angle=9")
    middle = run.input[:, :, 2:6, 2:9]  # 9 - 4 and 12 - 7 are odd: less before than behind
    assert_near(run.result, 2 * middle - 1)
    run = run_sections(write_cfg, "crop crop_height=4 crop_width=7 noadjust=1")
    np.testing.assert_array_equal(run.result, middle)


def test_reorg_with_flatten_and_extra(write_cfg: WriteCfg) -> None:
    net = "channels=4 height=4 width=6"
    run = run_sections(write_cfg, "reorg stride=2 flatten=1", net=net)
    by_pixel = run.input.transpose(0, 2, 3, 1).reshape(2, 16, 2, 3)
    np.testing.assert_array_equal(run.result, by_pixel)
    run = run_sections(write_cfg, "reorg stride=2 flatten=1 reverse=1", net=net)
    by_channel = run.input.reshape(2, 24, 4).transpose(0, 2, 1).reshape(2, 1, 8, 12)
    np.testing.assert_array_equal(run.result, by_channel)
    run = run_sections(write_cfg, "reorg extra=3|softmax", net=net)
    np.testing.assert_array_equal(run.outputs[0][:, :96], run.input.reshape(2, -1))
    np.testing.assert_array_equal(run.outputs[0][:, 96:], 0)
    assert run.result.shape == (2, 99)


def test_reorg3d_and_back(write_cfg: WriteCfg) -> None:
    net = "channels=3 height=4 width=6"
    run = run_sections(write_cfg, "reorg3d stride=2|reorg3d stride=2 reverse=1", net=net)
    for block in range(4):
        part = run.input[:, :, block // 2 :: 2, block % 2 :: 2]
        np.testing.assert_array_equal(run.outputs[0][:, 3 * block : 3 * block + 3], part)
    np.testing.assert_array_equal(run.result, run.input)


def test_l2norm(write_cfg: WriteCfg) -> None:
    run = run_sections(write_cfg, "l2norm")
    values = run.input.astype(float)
    assert_near(run.result, values / np.sqrt((values**2).sum(axis=1, keepdims=True)))
    run = run_sections(write_cfg, "l2norm", values=np.zeros_like(run.input))
    np.testing.assert_array_equal(run.result, 0)
    run = run_sections(write_cfg, "connected output=7|l2norm")
    assert_near((run.result.astype(float) ** 2).sum(axis=1), np.ones(2))


@pytest.mark.parametrize(
    ("options", "size", "alpha", "beta", "kappa"),
    [
        ("", 5, 1e-4, 0.75, 1.0),
        ("size=3 alpha=.2 beta=.5 kappa=2", 3, 0.2, 0.5, 2.0),
        ("size=4 alpha=.1 kappa=3", 4, 0.1, 0.75, 3.0),
        ("size=1 alpha=.1 kappa=3", 1, 0.1, 0.75, 3.0),
        ("size=14 alpha=.1 kappa=3", 14, 0.1, 0.75, 3.0),
    ],
)
def test_normalization_keeps_darknets_running_sum(
    write_cfg: WriteCfg, options: str, size: int, alpha: float, beta: float, kappa: float
) -> None:
    run = run_sections(write_cfg, f"normalization {options}", net="channels=8 height=4 width=5")
    values = run.input.astype(float)
    squares = values**2
    norms = np.full_like(squares, kappa)
    for k in range(size // 2):
        norms[:, 0] += alpha * squares[:, k]
    for k in range(1, 8):
        norms[:, k] = norms[:, k - 1]
        leaving, entering = k - (size - 1) // 2 - 1, k + size // 2
        if leaving >= 0:
            norms[:, k] -= alpha * squares[:, leaving]
        if entering < 8:
            norms[:, k] += alpha * squares[:, entering]
    assert_near(run.result, values * norms**-beta)


def test_logistic(write_cfg: WriteCfg) -> None:
    run = run_sections(write_cfg, "logistic")
    assert_near(run.result, 1 / (1 + np.exp(-run.input.astype(float))))


NOTHING = (
    "dropout probability=.3 dropblock=1 dropblock_size_abs=3",
    "cost type=masked scale=2",
    "contrastive classes=3 temperature=.2",
    "noise std=2",
    "empty",
    "silence",
)


@pytest.mark.parametrize("section", NOTHING)
def test_sections_that_change_nothing(write_cfg: WriteCfg, section: str) -> None:
    run = run_sections(write_cfg, f"maxpool size=1|{section}|maxpool size=1")
    assert run.model.notes == []
    for values in run.outputs:
        np.testing.assert_array_equal(values, run.input)
