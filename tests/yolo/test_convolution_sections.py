"""[convolutional] and pooling with the fork's options, by their definitions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plugrt.plugins import Array
from tests.yolo.section_runs import assert_near, convolved, run_sections, windows
from yolo_example.parsing import WeightsFile, read_model
from yolo_example.parsing.random_weights import write_random_weights

WriteCfg = Callable[[str], Path]

PLAIN = "convolutional filters=6 activation=linear"
BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16
SQUARE = np.full((2, 2), 0.25)


def biased(values: Array, biases: Array) -> Array:
    return values + biases[:, np.newaxis, np.newaxis]


def blurred(x: Array, kernel: Array, strides: tuple[int, int]) -> Array:
    channels = x.shape[1]
    weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    padding = len(kernel) // 2 if len(kernel) == 3 else 0
    return convolved(x, weights, strides=strides, padding=padding, groups=channels)


@pytest.mark.parametrize(
    ("options", "how"),
    [
        ("size=3", {}),
        ("size=3 padding=2", {"padding": 2}),
        ("size=4 pad=1", {"padding": 2}),
        ("size=3 pad=1 groups=2", {"padding": 1, "groups": 2}),
        ("size=3 pad=1 dilation=2", {"padding": 2, "dilation": 2}),
        ("size=5 pad=1 dilation=2 stride=2", {"padding": 4, "dilation": 2, "strides": (2, 2)}),
        ("size=3 pad=1 stride_x=3 stride_y=2", {"padding": 1, "strides": (2, 3)}),
        ("size=3 pad=1 stride=2 stride_x=1", {"padding": 1, "strides": (2, 1)}),
        ("size=1 dilation=4", {}),
    ],
)
def test_convolutions(write_cfg: WriteCfg, options: str, how: dict[str, int]) -> None:
    run = run_sections(write_cfg, f"{PLAIN} {options}")
    expected = convolved(run.input, run.blobs[0]["weights"], **how)  # type: ignore[arg-type]
    assert_near(run.result, biased(expected, run.blobs[0]["biases"]))


@pytest.mark.parametrize(
    ("options", "kernel", "strides"),
    [
        ("antialiasing=1 stride=2", BINOMIAL, (2, 2)),
        ("antialiasing=2 stride=2", SQUARE, (2, 2)),
        ("antialiasing=3 stride_x=3", BINOMIAL, (1, 3)),
    ],
)
def test_antialiasing_blurs_what_a_stride_of_one_gives(
    write_cfg: WriteCfg, options: str, kernel: Array, strides: tuple[int, int]
) -> None:
    leaky = PLAIN.replace("linear", "leaky")
    run = run_sections(write_cfg, f"{leaky} size=3 pad=1 {options}|maxpool size=3 {options}")
    values = convolved(run.input, run.blobs[0]["weights"], padding=1)
    values = biased(values, run.blobs[0]["biases"])
    values = np.where(values > 0, values, 0.1 * values)
    assert_near(run.outputs[0], blurred(values, kernel, strides))

    def largest(pixels: Array) -> Array:
        return pixels.max(axis=2)

    pooled = windows(run.outputs[0], largest, size=3, strides=(1, 1), padding=2)
    assert_near(run.outputs[1], blurred(pooled, kernel, strides))
    assert set(run.blobs[0]) == {"biases", "weights"}  # the blur's are in no file


def test_flipped_weights_lie_with_the_filters_last(write_cfg: WriteCfg) -> None:
    cfg = write_cfg(
        "[net]\nchannels=4\nheight=5\nwidth=5\n[conv]\nfilters=6\ngroups=2\nsize=3\nflipped=1\n"
    )
    layer = read_model(cfg).layers[0]
    blob = layer.blobs()[-1]
    stored = np.arange(blob.count, dtype=np.float32)
    weights = blob.from_file(stored)
    assert weights.shape == (6, 2, 3, 3)
    assert weights[5, 1, 2, 1] == (1 * 9 + 2 * 3 + 1) * 6 + 5
    np.testing.assert_array_equal(blob.to_file(weights), stored)


def test_flipped_and_plain_files_give_the_same_network(write_cfg: WriteCfg) -> None:
    found = []
    for flipped in (0, 1):
        cfg = write_cfg(
            f"[net]\nchannels=3\nheight=5\nwidth=5\n[conv]\nfilters=4\nsize=3\nflipped={flipped}\n"
        )
        layers = read_model(cfg).layers
        weights = cfg.with_suffix(".weights")
        write_random_weights(layers, 2, weights)
        ((_, blobs),) = WeightsFile(weights, layers).values()
        found.append((weights.read_bytes(), blobs["weights"]))
    assert found[0][0] != found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_scales_that_are_not_loaded_are_those_training_starts_from(write_cfg: WriteCfg) -> None:
    for section in (f"{PLAIN} size=1", "connected output=6 activation=linear"):
        run = run_sections(
            write_cfg, f"{section} batch_normalize=1 dontloadscales=1", batch_norm="fork"
        )
        assert set(run.blobs[0]) == {"biases", "weights"}
        weights = run.blobs[0]["weights"].reshape(6, -1)
        flat = run.input.reshape(2, -1, 108 if section.startswith("conv") else 1)
        values = np.einsum("fk,nkp->nfp", weights, flat.astype(float)) / np.sqrt(1e-5)
        expected = values + run.blobs[0]["biases"][:, np.newaxis]
        assert_near(run.result, expected.reshape(run.result.shape))


def test_cross_iteration_normalization_is_plain_afterwards(write_cfg: WriteCfg) -> None:
    plain, crossed = (
        run_sections(write_cfg, f"{PLAIN} {option}=1").result
        for option in ("batch_normalize", "cbn")
    )
    np.testing.assert_array_equal(plain, crossed)


TRAINING = "assisted_excitation=4 reverse=1 rotate=1 angle=10 grad_centr=1 dot=.1 stopbackward=1"


def test_options_of_training_change_nothing(write_cfg: WriteCfg) -> None:
    run = run_sections(write_cfg, f"{PLAIN} size=3 {TRAINING} burnin_update=2 train_only_bn=1")
    assert run.model.notes == []
    np.testing.assert_array_equal(run.result, run_sections(write_cfg, f"{PLAIN} size=3").result)


@pytest.mark.parametrize(
    ("options", "size", "strides", "padding"),
    [
        ("size=3", 3, (1, 1), 2),
        ("size=2 stride=2", 2, (2, 2), 1),
        ("size=4 stride_x=3 stride_y=2", 4, (2, 3), 3),
        ("size=3 stride=2 padding=0", 3, (2, 2), 0),
        ("size=3 stride=2 padding=4", 3, (2, 2), 4),
    ],
)
def test_pooling(
    write_cfg: WriteCfg, options: str, size: int, strides: tuple[int, int], padding: int
) -> None:
    run = run_sections(write_cfg, f"maxpool {options}")
    how = {"size": size, "strides": strides, "padding": padding}
    largest = windows(run.input, lambda pixels: pixels.max(axis=2), **how)  # type: ignore[arg-type]
    assert_near(run.result, largest)
    run = run_sections(write_cfg, f"local_avgpool {options}")
    mean = windows(run.input, lambda pixels: pixels.mean(axis=2), **how)  # type: ignore[arg-type]
    assert_near(run.result, mean)


@pytest.mark.parametrize(("channels", "groups"), [(6, 3), (7, 3), (5, 5), (4, 1)])
def test_maxpool_over_channels(write_cfg: WriteCfg, channels: int, groups: int) -> None:
    run = run_sections(
        write_cfg,
        f"maxpool maxpool_depth=1 out_channels={groups} size=2 stride=2",
        net=f"channels={channels} height=3 width=4",
    )
    expected = np.stack([run.input[:, g::groups].max(axis=1) for g in range(groups)], axis=1)
    np.testing.assert_array_equal(run.result, expected)
