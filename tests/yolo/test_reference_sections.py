"""Sections one by one against the reference Darknet, every option that counts at inference."""

from pathlib import Path

import pytest

from tests.yolo.reference_darknet import ReferenceDarknet
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture, run
from tests.yolo.reference_darknet.definitions import TREE, written
from tests.yolo.section_cases import CONVOLUTION, FIRST
from yolo_example.parsing import NEW_HEADER, OLD_HEADER, WeightsHeader, read_model
from yolo_example.parsing.random_weights import write_random_weights

TRANSPOSED_HEADER = WeightsHeader(0, 1001, 0, 0)


def compare(
    darknet: ReferenceDarknet, folder: Path, text: str, header: WeightsHeader = NEW_HEADER
) -> None:
    """Every section of a definition in both, with made-up weights."""
    (folder / "small.tree").write_text(TREE, encoding="utf-8")
    cfg, weights = folder / "net.cfg", folder / "net.weights"
    cfg.write_text(text, encoding="utf-8")
    model = read_model(cfg, batch_norm="darknet")
    assert model.notes == []
    write_random_weights(model.layers, 3, weights, header)
    picture = random_picture(model)
    ours = run(parse(cfg, weights, "darknet"), model, picture, every_section=True)
    judges = darknet.predict(cfg, weights, picture, folder=folder)
    assert_close(ours, judges)
    for index, value in ours.items():
        assert value.shape == judges[index].shape or 1 in (value.ndim, judges[index].ndim)


@pytest.mark.parametrize("case", FIRST)
def test_sections(darknet: ReferenceDarknet, tmp_path: Path, case: str) -> None:
    sections, settings = FIRST[case]
    compare(darknet, tmp_path, written(sections, **settings))


@pytest.mark.parametrize(
    "header", [NEW_HEADER, OLD_HEADER, TRANSPOSED_HEADER], ids=["new", "old", "transposed"]
)
def test_weights_files_of_all_forms(
    darknet: ReferenceDarknet, tmp_path: Path, header: WeightsHeader
) -> None:
    sections = (
        "convolutional filters=5 size=3 batch_normalize=1|batchnorm|"
        "connected output=7 batch_normalize=1|connected output=3"
    )
    compare(darknet, tmp_path, written(sections), header)


@pytest.mark.parametrize("cutoff", [1, 3])
def test_weights_that_darknet_has_cut_off(
    darknet: ReferenceDarknet, tmp_path: Path, cutoff: int
) -> None:
    cfg, weights, cut = (tmp_path / name for name in ("net.cfg", "net.weights", "cut.weights"))
    cfg.write_text(written(f"{CONVOLUTION}|maxpool|{CONVOLUTION}|connected output=5"))
    model = read_model(cfg, batch_norm="darknet")
    write_random_weights(model.layers, 3, weights)
    picture = random_picture(model)
    judges = darknet.predict(cfg, weights, picture)
    darknet.save(cfg, weights, cut, cutoff)
    assert cut.stat().st_size < weights.stat().st_size
    model = read_model(cfg, batch_norm="darknet", cutoff=cutoff)
    network = parse(cfg, cut, "darknet", cutoff=cutoff)
    assert_close(run(network, model, picture), judges)


def test_comments_blanks_and_repetitions(darknet: ReferenceDarknet, tmp_path: Path) -> None:
    text = (
        "# a comment\n[net]\n channels = 3\nheight=9\t\n; another\nwidth =  7\n\n"
        "[conv]\nfilters = 4\nsize=3\n#size=5\npad=1\nactivation = leaky\n"
        "[max]\nsize=3\n[avg]\n[conn]\noutput=4\n[soft]\n"
    )
    compare(darknet, tmp_path, text)
