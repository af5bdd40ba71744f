"""Weights files: both headers, the order of values, and every kind of damage."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugrt import ModelError
from yolo_example.parsing import (
    NEW_HEADER,
    OLD_HEADER,
    DarknetModel,
    WeightsFile,
    WeightsHeader,
    read_model,
)
from yolo_example.parsing.random_weights import random_blobs, write_random_weights

WriteCfg = Callable[[str], Path]
ReadCfg = Callable[[str], DarknetModel]

CONVOLUTION = "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\n"
CONNECTED = "[connected]\nbatch_normalize=1\noutput=2\n"


def write_values(path: Path, values: list[float], header: WeightsHeader = NEW_HEADER) -> Path:
    path.write_bytes(header.pack() + np.asarray(values, "<f4").tobytes())
    return path


def contents(path: Path, model: DarknetModel) -> dict[str, list[list[float]]]:
    return {
        layer.name: {name: array.ravel().tolist() for name, array in blobs.items()}
        for layer, blobs in WeightsFile(path, model.layers).values()
    }


@pytest.mark.parametrize(
    ("header", "size", "seen"), [(OLD_HEADER, 16, 7), (NEW_HEADER, 20, 1 << 40)]
)
def test_both_headers(
    tmp_path: Path, read_cfg: ReadCfg, header: WeightsHeader, size: int, seen: int
) -> None:
    model = read_cfg(CONVOLUTION)
    header = WeightsHeader(header.major, header.minor, 3, seen)
    path = write_values(tmp_path / "w", list(range(14)), header)
    assert path.stat().st_size == size + 14 * 4
    file = WeightsFile(path, model.layers)
    assert file.header == header


def test_a_header_of_version_one_has_a_long_count() -> None:
    assert WeightsHeader(1, 0, 0, 0).has_long_count
    assert not WeightsHeader(0, 1, 9, 0).has_long_count
    assert not WeightsHeader(0, 1001, 0, 0).has_long_count  # transposed, from before


def test_convolutions_have_their_weights_last(tmp_path: Path, read_cfg: ReadCfg) -> None:
    path = write_values(tmp_path / "w", list(range(14)))
    assert contents(path, read_cfg(CONVOLUTION))["000_convolutional"] == {
        "biases": [0, 1], "scales": [2, 3], "means": [4, 5], "variances": [6, 7],
        "weights": [8, 9, 10, 11, 12, 13],
    }  # fmt: skip


def test_connected_layers_have_their_weights_second(tmp_path: Path, read_cfg: ReadCfg) -> None:
    path = write_values(tmp_path / "w", list(range(14)))
    assert contents(path, read_cfg("[avgpool]\n" + CONNECTED))["001_connected"] == {
        "biases": [0, 1], "weights": [2, 3, 4, 5, 6, 7], "scales": [8, 9], "means": [10, 11],
        "variances": [12, 13],
    }  # fmt: skip


def test_old_files_hold_matrices_transposed(tmp_path: Path, read_cfg: ReadCfg) -> None:
    header = WeightsHeader(0, 1001, 0, 0)
    path = write_values(tmp_path / "w", list(range(14)), header)
    found = contents(path, read_cfg("[avgpool]\n" + CONNECTED))["001_connected"]
    assert found["weights"] == [2, 4, 6, 3, 5, 7]


def test_batchnorm_sections_have_biases_in_the_fork_only(
    tmp_path: Path, write_cfg: WriteCfg
) -> None:
    cfg = write_cfg("[net]\nchannels=2\nheight=4\nwidth=4\n[batchnorm]\n")
    path = write_values(tmp_path / "w", list(range(6)))
    found = contents(path, read_model(cfg, batch_norm="darknet"))["000_batchnorm"]
    assert found == {"scales": [0, 1], "means": [2, 3], "variances": [4, 5]}
    path = write_values(tmp_path / "w", list(range(8)))
    found = contents(path, read_model(cfg, batch_norm="fork"))["000_batchnorm"]
    assert found["biases"] == [0, 1]
    assert found["variances"] == [6, 7]


def test_weighted_shortcuts_and_implicit_layers_have_values(
    tmp_path: Path, read_cfg: ReadCfg
) -> None:
    path = write_values(tmp_path / "w", list(range(15)))
    model = read_cfg(
        "[maxpool]\n[shortcut]\nfrom=0\nweights_type=per_channel\n[implicit]\nfilters=2\natoms=3\n"
        "[implicit]\nfilters=3\n[scale_channels]\nfrom=0\n[shortcut]\nfrom=0\n"
    )
    found = contents(path, model)
    assert found["001_shortcut"] == {"weights": [0, 1, 2, 3, 4, 5]}
    assert found["002_implicit"] == {"weights": [6, 7, 8, 9, 10, 11]}
    assert found["003_implicit"] == {"weights": [12, 13, 14]}
    assert found["005_shortcut"] == {}


@pytest.mark.parametrize("missing", [1, 4, 5, 24, 55])
def test_truncated_files(tmp_path: Path, read_cfg: ReadCfg, missing: int) -> None:
    model = read_cfg(CONVOLUTION)
    path = write_values(tmp_path / "w", list(range(14)))
    size = path.stat().st_size - missing
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError) as caught:
        WeightsFile(path, model.layers)
    message = str(caught.value)
    assert message.startswith(f"{path}: byte offset {size}: the file ends within the ")
    assert "of layer 000_convolutional (net.cfg:5)" in message
    assert message.endswith("take the weights that belong to net.cfg")


@pytest.mark.parametrize("size", [0, 1, 11, 15, 19])
def test_files_that_end_in_their_header(tmp_path: Path, read_cfg: ReadCfg, size: int) -> None:
    path = tmp_path / "w"
    path.write_bytes(NEW_HEADER.pack()[:size])
    with pytest.raises(ModelError, match=r"within its header|cannot be read"):
        WeightsFile(path, read_cfg(CONVOLUTION).layers)


@pytest.mark.parametrize("extra", [1, 4, 1000])
def test_over_long_files(tmp_path: Path, read_cfg: ReadCfg, extra: int) -> None:
    path = write_values(tmp_path / "w", list(range(14)))
    path.write_bytes(path.read_bytes() + bytes(extra))
    with pytest.raises(ModelError) as caught:
        WeightsFile(path, read_cfg(CONVOLUTION).layers)
    assert f"byte offset 76: {extra} bytes are left over behind layer 000_conv" in str(caught.value)


def test_a_cut_network_takes_files_of_both_lengths(tmp_path: Path, write_cfg: WriteCfg) -> None:
    cfg = write_cfg("[net]\nchannels=3\nheight=4\nwidth=4\n" + CONVOLUTION * 2)
    long = write_values(tmp_path / "long", list(range(26)))
    short = write_values(tmp_path / "short", list(range(14)))
    WeightsFile(long, read_model(cfg).layers)
    with pytest.raises(ModelError, match="cut the network with --cutoff 1"):
        WeightsFile(short, read_model(cfg).layers)
    cut = read_model(cfg, cutoff=1).layers
    assert WeightsFile(short, cut, cut=True).unread == 0
    assert WeightsFile(long, cut, cut=True).unread == 48


def test_weights_of_another_network(tmp_path: Path, read_cfg: ReadCfg) -> None:
    one = read_cfg(CONVOLUTION)
    path = tmp_path / "w"
    write_random_weights(one.layers, 1, path)
    other = read_cfg(CONVOLUTION.replace("filters=2", "filters=3"))
    with pytest.raises(ModelError, match=r"take the weights that belong to net\.cfg"):
        WeightsFile(path, other.layers)


@pytest.mark.parametrize(
    ("position", "value", "said"),
    [
        (0, np.nan, "the biases of layer 000_convolutional hold nan, which is not a finite"),
        (13, np.inf, "the weights of layer 000_convolutional hold inf"),
        (5, -3e25, "hold -3e+25, which is beyond 1e+20"),
        (7, -1.5, "hold -1.5, but a variance is never negative"),
    ],
)
def test_values_that_no_training_leaves(
    tmp_path: Path, read_cfg: ReadCfg, position: int, value: float, said: str
) -> None:
    values = [1.0] * 14
    values[position] = value
    path = write_values(tmp_path / "w", values)
    with pytest.raises(ModelError) as caught:
        list(WeightsFile(path, read_cfg(CONVOLUTION).layers).values())
    assert f"byte offset {20 + 4 * position}: " in str(caught.value)
    assert said in str(caught.value)


def test_a_text_file_is_told_from_weights(tmp_path: Path, read_cfg: ReadCfg) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\n")
    with pytest.raises(ModelError, match=r"this is a text file \(it begins 'version https"):
        WeightsFile(path, read_cfg(CONVOLUTION).layers)


@pytest.mark.parametrize("version", [(-1, 0, 0), (0, 2, 90000), (218762506, 2, 5)])
def test_a_version_that_never_was(
    tmp_path: Path, read_cfg: ReadCfg, version: tuple[int, ...]
) -> None:
    path = tmp_path / "w"
    path.write_bytes(struct.pack("<iii", *version) + bytes(64))
    with pytest.raises(ModelError, match=r"byte offset 0: version .* is none of Darknet's"):
        WeightsFile(path, read_cfg(CONVOLUTION).layers)


MANGLERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "line feeds to line ends": (
        lambda data: data.replace(b"\n", b"\r\n"), "has inserted bytes"
    ),
    "line ends to line feeds": (
        lambda data: data.replace(b"\r\n", b"\n"), "removed bytes"
    ),
    "decoded with replacement": (
        lambda data: data.decode("utf-8", "replace").encode(), "valid UTF-8"
    ),
    "Latin-1 to UTF-8": (
        lambda data: data.decode("latin-1").encode(), "valid UTF-8"
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", MANGLERS)
def test_text_mangled_weights(tmp_path: Path, read_cfg: ReadCfg, how: str) -> None:
    mangle, said = MANGLERS[how]
    model = read_cfg("[convolutional]\nfilters=640\nsize=15\n[convolutional]\nfilters=4\n")
    path = tmp_path / "w"
    write_random_weights(model.layers, 5, path)
    whole = path.read_bytes()
    mangled = mangle(whole)
    assert mangled != whole
    path.write_bytes(mangled)
    with pytest.raises(ModelError) as caught:
        list(WeightsFile(path, model.layers).values())
    assert said in str(caught.value)
    assert "binary mode" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(data=st.data())
def test_any_cut_growth_or_shift_of_a_small_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    cfg = folder / "shift.cfg"
    cfg.write_text("[net]\nchannels=3\nheight=4\nwidth=4\n" + CONVOLUTION)
    layers = read_model(cfg).layers
    path = folder / "shift.weights"
    write_random_weights(layers, 3, path)
    whole = path.read_bytes()
    # In the header, a change may turn one valid form into another.
    at = data.draw(st.integers(NEW_HEADER.size, len(whole) - 1), "at")
    removed = data.draw(st.integers(0, len(whole) - at), "bytes removed")
    added = data.draw(st.binary(max_size=40).filter(lambda text: len(text) != removed), "added")
    path.write_bytes(whole[:at] + added + whole[at + removed :])
    with pytest.raises(ModelError) as caught:
        list(WeightsFile(path, layers).values())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_random_weights_are_seeded_and_plausible(tmp_path: Path, small_detector: Path) -> None:
    layers = read_model(small_detector).layers
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_random_weights(layers, seed, path)
    first, same, other = (path.read_bytes() for path in paths)
    assert first == same != other
    for layer, blobs in WeightsFile(paths[0], layers).values():
        if "variances" in blobs:
            assert blobs["variances"].min() >= 0.5
            assert blobs["variances"].max() <= 2.0
        assert set(blobs) == {blob.name for blob in layer.blobs()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "net.cfg"]


@pytest.mark.parametrize("header", [OLD_HEADER, NEW_HEADER, WeightsHeader(0, 1001, 0, 0)])
def test_random_weights_are_the_same_in_every_form_of_file(
    tmp_path: Path, read_cfg: ReadCfg, header: WeightsHeader
) -> None:
    layers = read_cfg(CONVOLUTION + CONNECTED + "[connected]\noutput=3\n").layers
    path = tmp_path / "w"
    write_random_weights(layers, 1, path, header)
    expected = {layer.name: blobs for layer, blobs in random_blobs(layers, 1)}
    for layer, blobs in WeightsFile(path, layers).values():
        for name, array in blobs.items():
            np.testing.assert_array_equal(array, expected[layer.name][name])


def test_a_network_too_large_for_random_weights_is_refused(
    tmp_path: Path, read_cfg: ReadCfg
) -> None:
    model = read_cfg("[convolutional]\nfilters=2000000\nsize=16\n")
    with pytest.raises(ModelError, match="too many to make up"):
        write_random_weights(model.layers, 1, tmp_path / "w")
    assert not (tmp_path / "w").exists()
