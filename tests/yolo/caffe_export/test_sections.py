"""`plugrt-yolo export-caffe` section by section: what OpenCV computes from the files is what plugrt
computes."""

from pathlib import Path

import pytest

from plugrt import ModelError
from tests.yolo.caffe_export.support import STANDARD, Export, WriteCfg, assert_equal, definition
from yolo_example.caffe_export import export_model, exporter
from yolo_example.parsing.activations import ACTIVATIONS
from yolo_example.parsing.sections import EPSILONS, SECTIONS

PLAIN = "convolutional filters={} size=1 activation=linear"
NORMALIZED = "convolutional batch_normalize=1 filters=8 size=3 pad=1 activation=leaky"

CASES = {
    "strides": "convolutional filters=6 size=3 pad=1 stride_x=1 stride_y=2 activation=relu",
    "dilation": "convolutional filters=6 size=3 pad=1 dilation=2 activation=linear",
    "groups": "convolutional filters=8 size=3 padding=2 groups=4 stride=2 activation=leaky",
    "normalized": NORMALIZED,
    "one normalization after another": f"{NORMALIZED}|batchnorm",
    "normalization alone": "batchnorm|activation activation=leaky",
    "a part of the network is the input": f"{PLAIN.format(8)}|maxpool size=2 stride=2|avgpool",
    "connected": "connected output=7 activation=tanh|connected batch_normalize=1 output=5",
    "image of a vector": f"connected output=6|{PLAIN.format(4)}|dropout|cost",
    "softmax": "softmax temperature=2",
    "softmax of groups": "connected output=12 activation=linear|softmax groups=3",
    "softmax of pixels": "softmax spatial=1",
    "logistic section": "logistic",
    "antialiased": "convolutional filters=6 size=3 pad=1 stride=2 antialiasing=1 activation=leaky",
    "antialiased maxima": "maxpool size=2 stride=2 antialiasing=2",
    "maximum of channels": f"{PLAIN.format(8)}|maxpool maxpool_depth=1 out_channels=3",
    "several layers": f"{PLAIN.format(6)}|{NORMALIZED}|route layers=-1,-2",
    "one layer": f"{PLAIN.format(6)}|{NORMALIZED}|route layers=0|{PLAIN.format(3)}",
    "first group": f"{PLAIN.format(6)}|route layers=-1 groups=3 group_id=0",
    "middle group": f"{PLAIN.format(6)}|route layers=-1 groups=3 group_id=1|{PLAIN.format(2)}",
    "groups of several": f"{PLAIN.format(6)}|{NORMALIZED}|route layers=-1,0 groups=2 group_id=1",
    "sum": f"{NORMALIZED}|{PLAIN.format(8)}|shortcut from=-2 activation=leaky",
    "sum of several": f"{NORMALIZED}|{NORMALIZED}|{NORMALIZED}|shortcut from=0,1",
    "itself": f"{NORMALIZED}|shortcut from=-1",
    "factors": f"{NORMALIZED}|{NORMALIZED}|shortcut from=-2 alpha=0.5 beta=2",
    "weights of layers": f"{NORMALIZED}|{NORMALIZED}|shortcut from=-2 weights_type=per_feature",
    "weights of channels": f"{NORMALIZED}|{NORMALIZED}|shortcut from=-2 weights_type=per_channel "
    "weights_normalization=softmax",
    "more channels": f"{PLAIN.format(8)}|{PLAIN.format(4)}|shortcut from=-2",
    "fewer channels": f"{PLAIN.format(3)}|{PLAIN.format(8)}|shortcut from=-2",
    "larger": f"{PLAIN.format(4)}|maxpool size=2 stride=2|shortcut from=-2",
    "smaller": f"maxpool size=2 stride=2|upsample stride=2|{PLAIN.format(6)}|shortcut from=0",
    "smaller with factors": f"{PLAIN.format(2)}|maxpool size=2 stride=2|upsample stride=2|"
    f"{PLAIN.format(6)}|shortcut from=1 alpha=0.5",
    "squeeze and excite": f"{NORMALIZED}|avgpool|{PLAIN.format(8)}|scale_channels from=-3",
    "scaled by a vector": f"{NORMALIZED}|connected output=8|scale_channels from=0",
    "scaled pixels": f"{NORMALIZED}|{PLAIN.format(1)}|scale_channels from=-2 scale_wh=1",
    "attention": f"{NORMALIZED}|{PLAIN.format(8)}|sam from=-2",
    "repeated": "upsample stride=3",
    "repeated and scaled": "upsample stride=2 scale=0.5",
    "summed blocks": "upsample stride=-2",
    "reorg": "reorg stride=2",
    "reorg back": "reorg stride=2 reverse=1",
    "reorg3d": "reorg3d stride=2",
    "reorg3d back": "reorg3d stride=2 reverse=1",
    "vector and zeros": "reorg extra=7",
    "middle": "crop crop_height=5 crop_width=8",
    "unchanged middle": "crop crop_height=7 crop_width=4 noadjust=1",
    "length 1": "l2norm",
    "response": "normalization size=3 alpha=0.1",
    "implicit": f"{PLAIN.format(8)}|implicit filters=8 atoms=1|scale_channels from=0",
    "implicit after a vector": "connected output=5|implicit filters=4 atoms=2",
    "nothing": f"{NORMALIZED}|noise|dropout|contrastive|empty",
}  # fmt: skip

POOLS = [
    f"size={size} stride={stride}{padding}"
    for size in (1, 2, 3, 5)
    for stride in (1, 2, 3)
    for padding in ("", " padding=0", " padding=1", " padding=2", " padding=3")
    if not padding or int(padding[-1]) <= 2 * size - 2
]
POOLS += ["size=10 stride=2", "size=14 stride=3 padding=12"]
CASES |= {f"maxima {pool}": f"maxpool {pool}" for pool in POOLS}
CASES |= {f"means {pool}": f"local_avgpool {pool}" for pool in POOLS}

REFUSED_ACTIVATIONS = {
    "stair": "layer Darknet.Stair",
    "normalize_channels_softmax_maxval": "no maximum over the channels",
}
CASES |= {
    activation: f"convolutional filters=6 size=1 activation={activation}"
    for activation in ACTIVATIONS
    if activation not in REFUSED_ACTIVATIONS
}

NETS = {
    "even": "channels=4 height=8 width=12",
    "odd": "channels=4 height=9 width=13",
}


EVEN_ONLY = frozenset({
    "larger", "smaller", "smaller with factors", "summed blocks", "reorg", "reorg3d",
})  # fmt: skip


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("case", CASES)
def test_every_section(case: str, net: str, write_cfg: WriteCfg, tmp_path: Path) -> None:
    if net == "odd" and case in EVEN_ONLY:
        pytest.skip("Darknet takes even sizes only")
    export = Export(write_cfg(definition(CASES[case], NETS[net])), tmp_path / "net")
    picture = export.picture(images=2)
    names = [layer.name for layer in export.network.layers]
    values = export.plugrt_values(picture, names)
    assert_equal(values, export.opencv_values(picture, names))
    # Where nobody wants what is between, OpenCV joins layers.
    assert_equal({names[-1]: values[names[-1]]}, export.opencv_values(picture, names[-1:]))
    assert STANDARD.issuperset(export.types)


def test_the_cases_have_every_section_that_is_supported() -> None:
    used = {section.split()[0] for case in CASES.values() for section in case.split("|")}
    assert {SECTIONS[name] for name in SECTIONS} == {SECTIONS[n] for n in used | exporter.HEADS}


REFUSED = {
    "reads a head": (
        f"{PLAIN.format(18)}|yolo classes=1 num=3 mask=0,1,2 anchors=1,2,3,4,5,6|{PLAIN.format(2)}",
        r"net.cfg:\d+: \[convolutional\] cannot be exported to Caffe: it reads 001_yolo, which "
        "is not exported",
    ),
    "a head after a head": (
        f"{PLAIN.format(6)}|yolo classes=1|yolo classes=1",
        r"\[yolo\] cannot be exported to Caffe: it reads 001_yolo",
    ),
    "transposed": ("reorg stride=2 flatten=1", r"\[reorg\] cannot.* layer Transpose"),
    "windows of which one is empty": (
        "maxpool size=2 stride_y=1 stride_x=3",
        "would count its windows differently",
    ),
    "wide border": (f"{PLAIN.format(1)}|{PLAIN.format(80)}|shortcut from=0", "too wide"),
} | {
    name: (f"convolutional filters=6 size=1 activation={name}", rf"\[convolutional\] .*{said}")
    for name, said in REFUSED_ACTIVATIONS.items()
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_caffe_lacks_is_refused_by_name(
    case: str, write_cfg: WriteCfg, tmp_path: Path
) -> None:
    sections, said = REFUSED[case]
    path = write_cfg(definition(sections, NETS["even"]))
    with pytest.raises(ModelError, match=said):
        Export(path, tmp_path / "net")
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("variant", EPSILONS)
@pytest.mark.parametrize("fold", [False, True])
def test_every_variant_of_batch_normalization(
    variant: str, fold: bool, write_cfg: WriteCfg, tmp_path: Path
) -> None:
    sections = f"{NORMALIZED}|batchnorm|connected batch_normalize=1 output=5 activation=linear"
    path = write_cfg(definition(sections, NETS["even"]))
    export = Export(path, tmp_path / "net", batch_norm=variant, fold=fold)
    for layer in export.network.layers:
        # So small that what is added to them counts.
        if layer.plugin.type == "BatchNormalization":
            layer.inputs[4].value *= 1e-5
    export.files = export_model(export.model, export.network, tmp_path / "net", fold=fold)
    picture = export.picture()
    names = [layer.name for layer in export.model.layers]
    assert_equal(export.plugrt_values(picture, names), export.opencv_values(picture, names))
    assert export.types.count("BatchNorm") == (0 if fold else 3)
    assert export.types.count("Scale") == (1 if fold else 3)


def test_the_parts_that_nothing_reads_are_named(write_cfg: WriteCfg, tmp_path: Path) -> None:
    path = write_cfg(definition(CASES["middle group"], NETS["even"]))
    text = Export(path, tmp_path / "net").text
    assert "#   Nothing reads 001_route.part1.before and 001_route.part1.behind.\n" in text
