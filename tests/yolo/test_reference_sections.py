"""Sections one by one against the reference Darknet, every option that counts at inference."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.yolo.reference_darknet import ReferenceDarknet
from tests.yolo.reference_darknet.comparing import assert_close, parse, random_picture, run
from tests.yolo.reference_darknet.definitions import TREE, written
from yolo_example.parsing import NEW_HEADER, OLD_HEADER, WeightsHeader, read_model
from yolo_example.parsing.random_weights import write_random_weights

TRANSPOSED_HEADER = WeightsHeader(0, 1001, 0, 0)
ACTIVATIONS = (
    "linear", "logistic", "loggy", "relu", "elu", "selu", "relie", "plse", "hardtan", "lhtan",
    "ramp", "leaky", "tanh", "stair",
)  # fmt: skip
CONVOLUTION = "convolutional filters=6 size=3 pad=1 activation=linear"
POINTS = "convolutional filters=6 size=1 activation=linear"
"""Values of both signs to try others on."""


CONVOLUTIONAL = {
    "plain": "filters=6 size=3",
    "defaults": "",
    "flipped": "filters=6 size=3 flipped=1",
    "pad": "filters=6 size=5 pad=1",
    "pad of an even size": "filters=6 size=4 pad=1",
    "padding": "filters=6 size=3 padding=2",
    "pad goes before padding": "filters=6 size=3 pad=1 padding=2",
    "stride": "filters=6 size=3 stride=2 pad=1",
    "stride beyond the size": "filters=6 size=2 stride=3",
    "groups": "filters=6 size=3 groups=2 pad=1",
    "depthwise": "filters=8 size=3 groups=4 stride=2 pad=1 batch_normalize=1",
    "normalized": "filters=6 size=3 batch_normalize=1 pad=1",
    "normalized, plain activation": "filters=6 size=3 batch_normalize=1 activation=linear",
    "default activation": "filters=6 size=1",
}

MAXPOOL = {
    "defaults": "",
    "stride alone": "stride=2",
    "size alone": "size=3",
    "even": "size=2 stride=2",
    "even, stride 1": "size=2 stride=1",
    "odd": "size=3 stride=2",
    "no padding": "size=3 stride=2 padding=0",
    "more padding": "size=3 stride=2 padding=3",
    "stride beyond the size": "size=2 stride=3",
    "large": "size=9 stride=1",
}

RESHAPING = {
    "upsample": "upsample",
    "upsample by 3": "upsample stride=3",
    "upsample scaled": "upsample stride=2 scale=.5",
    "avgpool": "avgpool",
    "crop": "crop crop_height=8 crop_width=10",
    "crop, odd margins": "crop crop_height=8 crop_width=11 flip=1 angle=7 shift=.2",
    "crop without rescaling": "crop crop_height=8 crop_width=10 noadjust=1",
    "route": f"{CONVOLUTION}|maxpool|route layers=-2|maxpool",
    "route of several": f"{CONVOLUTION}|maxpool size=3|route layers=-1,0,-2,0",
    "route of vectors": "connected output=7|connected output=5|route layers=0,-1",
}

REORG = {
    "upsample reversed": "upsample stride=-2 scale=.5",
    "reorg": "reorg stride=2",
    "reorg, default stride": "reorg",
    "reorg reversed": "reorg stride=2 reverse=1",
    "reorg to a vector": "reorg stride=2 flatten=1",
    "reorg from a vector": "reorg stride=2 flatten=1 reverse=1",
    "reorg with extra": "reorg extra=3",
    "reorg of convolutions": f"{CONVOLUTION.replace('6', '8')}|reorg stride=2",
}

SHORTCUT = {
    "shortcut": f"{POINTS}|{CONVOLUTION}|shortcut from=0 activation=leaky",
    "shortcut, from here": f"{POINTS}|{CONVOLUTION}|shortcut from=-2",
    "shortcut of more channels": (
        f"{POINTS.replace('6', '9')}|{CONVOLUTION}|shortcut from=0 activation=linear"
    ),
    "shortcut of fewer channels": (
        f"{POINTS.replace('6', '3')}|{CONVOLUTION}|shortcut from=0 activation=linear"
    ),
    "shortcut of a larger layer": (
        f"{POINTS}|{CONVOLUTION} stride=2|shortcut from=0 activation=linear"
    ),
    "shortcut of a smaller layer": (
        f"{POINTS}|{CONVOLUTION} stride=2|upsample|route layers=0|shortcut from=1 activation=linear"
    ),
    "shortcut with factors": f"{POINTS}|{CONVOLUTION}|shortcut from=0 alpha=2 beta=.5",
}

FUNCTIONS = {
    "batchnorm": f"{POINTS}|batchnorm",
    "batchnorm of the input": f"batchnorm|{POINTS}",
    "default activation": f"{POINTS}|activation",
    "dropout": f"{POINTS}|dropout probability=.7|{CONVOLUTION}",
    "logistic": f"{POINTS}|logistic",
    "l2norm": f"{POINTS}|l2norm",
    "normalization": f"{POINTS}|normalization",
    "normalization, all options": f"{POINTS}|lrn size=3 alpha=.1 beta=.6 kappa=2",
    "batchnorm of a vector": "connected output=7|batchnorm",
    "activation of a vector": "connected output=7|activation activation=tanh",
    "softmax": f"{POINTS}|softmax",
    "softmax in groups": f"{POINTS}|softmax groups=3 temperature=2",
    "softmax of a tree": "connected output=7 activation=linear|softmax tree=small.tree",
    "softmax of a tree, temperature": (
        "connected output=7 activation=linear|softmax tree=small.tree temperature=3"
    ),
    "softmax of a vector in groups": "connected output=12 activation=linear|softmax groups=4",
    "cost": f"{POINTS}|softmax|cost type=sse",
    "masked cost": f"{POINTS}|cost type=masked",
    "smooth cost": f"{POINTS}|dropout|cost type=smooth",
    "connected": f"{POINTS}|connected output=7 activation=relu|connected output=5",
    "connected, normalized": f"{POINTS}|connected output=7 batch_normalize=1 activation=leaky",
    "connected, then pixels": "connected output=7|avgpool|softmax",
}

DETECTION = {
    "yolo": (f"{POINTS.replace('6', '14')}|yolo classes=2 num=4 mask=1,3 anchors=1,2,3,4,5,6,7,8"),
    "yolo without mask": f"{POINTS.replace('6', '7')}|yolo classes=2 anchors=1,2",
    "region": f"{POINTS.replace('6', '16')}|region classes=3 num=2 anchors=1,2,3,4",
    "region with softmax": (
        f"{POINTS.replace('6', '16')}|region classes=3 num=2 softmax=1 anchors=1,2,3,4"
    ),
    "region with a background": (
        f"{POINTS.replace('6', '16')}|region classes=3 num=2 background=1 anchors=1,2,3,4"
    ),
    "region of a tree": (
        f"{POINTS.replace('6', '24')}|region classes=7 num=2 tree=small.tree anchors=1,2,3,4"
    ),
    "region with more coordinates": (
        f"{POINTS.replace('6', '18')}|region classes=3 num=2 softmax=1 coords=5 anchors=1,2,3,4"
    ),
    "detection": (
        "connected output=90 activation=linear|"
        "detection classes=5 coords=4 side=3 num=1 softmax=0 sqrt=1"
    ),
    "detection with softmax": (
        "connected output=126 activation=linear|"
        "detection classes=4 coords=4 side=3 num=2 softmax=1 sqrt=1"
    ),
}

EVEN = {"net": "channels=8 height=12 width=18"}
CASES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    **{
        f"convolution, {name}": (f"convolutional {options}", {})
        for name, options in CONVOLUTIONAL.items()
    },
    **{f"maxpool, {name}": (f"{POINTS}|maxpool {o}", {}) for name, o in MAXPOOL.items()},
    **{
        f"activation {name}": (f"{POINTS}|activation activation={name}", {}) for name in ACTIVATIONS
    },
    **{
        name: (sections, {})
        for group in (RESHAPING, FUNCTIONS, DETECTION)
        for name, sections in group.items()
    },
    **{name: (sections, EVEN) for group in (REORG, SHORTCUT) for name, sections in group.items()},
    "vectors": (
        "connected output=8 activation=relu|dropout|connected output=5 activation=tanh|softmax",
        {"net": "inputs=11"},
    ),
    "one channel": (CONVOLUTION, {"net": "channels=1 height=5 width=5"}),
}


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


@pytest.mark.parametrize("case", CASES)
def test_sections(darknet: ReferenceDarknet, tmp_path: Path, case: str) -> None:
    sections, settings = CASES[case]
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
