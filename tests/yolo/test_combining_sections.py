"""[route], [shortcut], [scale_channels], [sam] and [implicit], by their definitions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plugrt.plugins import Array
from tests.yolo.section_runs import SectionRun, assert_near, run_sections

WriteCfg = Callable[[str], Path]

SMALL = "convolutional filters={} size=1 activation=linear"


def test_route_takes_one_group_of_each(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, f"{SMALL.format(6)}|{SMALL.format(3)}|route layers=-1,0 groups=3 group_id=1"
    )
    expected = np.concatenate([run.outputs[1][:, 1:2], run.outputs[0][:, 2:4]], axis=1)
    np.testing.assert_array_equal(run.result, expected)


def test_route_joins_vectors_and_single_pixels(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, f"avgpool|connected output=5|route layers=0,1|{SMALL.format(2)}|connected"
    )
    assert run.outputs[2].shape == (2, 9, 1, 1)
    expected = np.concatenate([run.outputs[0].reshape(2, 4), run.outputs[1]], axis=1)
    np.testing.assert_array_equal(run.outputs[2].reshape(2, 9), expected)


def strided(before: Array, earlier: Array, alpha: float = 1, beta: float = 1) -> Array:
    """The first Darknet's sum, element by element."""
    result = before.astype(float)
    reading = max(earlier.shape[3] // before.shape[3], 1)
    writing = max(before.shape[3] // earlier.shape[3], 1)
    channels, height, width = (
        min(a, b) for a, b in zip(before.shape[1:], earlier.shape[1:], strict=True)
    )
    for k in range(channels):
        for j in range(height):
            for i in range(width):
                place = (slice(None), k, j * writing, i * writing)
                added = earlier[:, k, j * reading, i * reading]
                result[place] = alpha * result[place] + beta * added
    return result


def flat(before: Array, earlier: Array) -> Array:
    """The fork's sum: number by number in memory."""
    result = before.astype(float).reshape(len(before), -1)
    numbers = earlier.reshape(len(earlier), -1)[:, : result.shape[1]]
    result[:, : numbers.shape[1]] += numbers
    return result.reshape(before.shape)


EARLIER = {
    "equal": SMALL.format(4),
    "more channels": SMALL.format(7),
    "fewer channels": SMALL.format(3),
    "smaller": "maxpool size=2 stride=2",
    "smaller by three, fewer channels": f"maxpool size=3 stride=3 padding=0|{SMALL.format(2)}",
    "larger": "upsample stride=2",
    "larger by three, more channels": f"upsample stride=3|{SMALL.format(6)}",
    "one pixel": "avgpool",
}


def fitted(
    write_cfg: WriteCfg, earlier: str, options: str = "", batch_norm: str = "opencv"
) -> SectionRun:
    """A shortcut from the last of `earlier` to a layer of 4x12x12."""
    last = earlier.count("|")
    sections = f"{earlier}|crop crop_height=1 crop_width=1|upsample stride=12|{SMALL.format(4)}|"
    shortcut = f"shortcut from={last} activation=linear {options}"
    net = "channels=4 height=12 width=12"
    return run_sections(write_cfg, sections + shortcut, net=net, batch_norm=batch_norm)


@pytest.mark.parametrize("kind", EARLIER)
@pytest.mark.parametrize("options", ["", "alpha=.5 beta=2"])
def test_shortcuts_of_other_sizes_as_in_the_first_darknet(
    write_cfg: WriteCfg, kind: str, options: str
) -> None:
    run = fitted(write_cfg, EARLIER[kind], options)
    factors = (0.5, 2.0) if options else (1.0, 1.0)
    earlier = run.outputs[EARLIER[kind].count("|")]
    assert_near(run.result, strided(run.outputs[-2], earlier, *factors))


@pytest.mark.parametrize("kind", EARLIER)
def test_shortcuts_of_other_sizes_as_in_the_fork(write_cfg: WriteCfg, kind: str) -> None:
    run = fitted(write_cfg, EARLIER[kind], batch_norm="fork")
    earlier = run.outputs[EARLIER[kind].count("|")]
    assert_near(run.result, flat(run.outputs[-2], earlier))


def test_the_two_darknets_agree_on_equal_areas(write_cfg: WriteCfg) -> None:
    for kind in ("equal", "more channels", "fewer channels"):
        results = [
            fitted(write_cfg, EARLIER[kind], batch_norm=v).result for v in ("opencv", "fork")
        ]
        np.testing.assert_array_equal(results[0], results[1])


def test_shortcuts_of_vectors(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, "connected output=5|connected output=5|shortcut from=0|connected output=4|"
        "shortcut from=1|connected output=3",
    )  # fmt: skip
    first, second, _, fourth, _, _ = run.outputs
    assert_near(run.outputs[2], first + second)
    assert run.outputs[4].shape == (2, 4, 1, 1)
    assert_near(run.outputs[4].reshape(2, 4), fourth + second[:, :4])


def weighted(run: SectionRun, weights: Array, added: list[int]) -> Array:
    terms = [run.outputs[-2], *(run.outputs[index] for index in added)]
    result = np.zeros(terms[0].shape)
    for tensor, factors in zip(terms, weights, strict=True):
        shared = min(tensor.shape[1], result.shape[1])
        scaled = (
            tensor[:, :shared] * np.broadcast_to(factors, (result.shape[1],))[:shared, None, None]
        )
        result[:, :shared] += scaled
    return result


@pytest.mark.parametrize("kind", ["per_feature", "per_layer", "per_channel"])
@pytest.mark.parametrize("normalization", ["none", "relu", "avg_relu", "softmax"])
def test_weighted_shortcuts(write_cfg: WriteCfg, kind: str, normalization: str) -> None:
    run = run_sections(
        write_cfg,
        f"{SMALL.format(5)}|{SMALL.format(3)}|{SMALL.format(4)}|shortcut from=0,-2 "
        f"weights_type={kind} weights_normalization={normalization}",
    )
    weights = run.blobs[-1]["weights"]
    assert weights.shape == (3, 4 if kind == "per_channel" else 1)
    positive = np.exp(weights) if normalization == "softmax" else weights
    # 1e-4 is added to the sum; with softmax to that of powers of differences to the largest.
    extra = 1e-4 * (np.exp(weights.max(axis=0)) if normalization == "softmax" else 1)
    total = 1.0 if normalization == "none" else positive.sum(axis=0) + extra
    assert_near(run.result, weighted(run, positive / total, [0, 1]))


def test_weights_below_zero_count_for_nothing_with_relu() -> None:
    from yolo_example.parsing.sections.shortcut import normalized

    weights = np.asarray([[-1.0], [3.0], [1.0]], np.float32)
    expected = np.asarray([[0], [3], [1]]) / 4.0001
    np.testing.assert_allclose(normalized(weights, "relu"), expected, rtol=1e-6)


def test_scale_channels_by_channel_and_by_pixel(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, f"{SMALL.format(5)}|avgpool|scale_channels from=0 activation=relu"
    )
    assert_near(run.result, np.maximum(run.outputs[0] * run.outputs[1], 0))
    run = run_sections(
        write_cfg, f"{SMALL.format(5)}|{SMALL.format(1)}|scale_channels from=0 scale_wh=1"
    )
    assert_near(run.result, run.outputs[0] * run.outputs[1])


def test_sam(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, f"{SMALL.format(5)}|{SMALL.format(5)}|sam from=-2 activation=leaky"
    )
    product = run.outputs[0] * run.outputs[1]
    assert_near(run.result, np.where(product > 0, product, 0.1 * product))


def test_implicit_values_are_added_and_multiplied(write_cfg: WriteCfg) -> None:
    run = run_sections(
        write_cfg, f"{SMALL.format(5)}|implicit filters=5 mean=1|scale_channels from=0|"
        f"implicit filters=5 atoms=9|implicit filters=5|route layers=-1|{SMALL.format(3)}",
    )  # fmt: skip
    factors = run.blobs[1]["weights"]
    assert_near(run.outputs[2], run.outputs[0] * factors)
    for index in (3, 4):
        values = run.blobs[index]["weights"]
        np.testing.assert_array_equal(run.outputs[index], np.stack([values, values]))
