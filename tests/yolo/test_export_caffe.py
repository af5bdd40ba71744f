"""`plugrt-yolo export-caffe`: what OpenCV computes from the files is what plugrt computes."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

import plugrt
from plugrt import ModelError
from plugrt.plugins import Array
from tests.yolo.reference_darknet.comparing import relative_distance
from tests.yolo.reference_darknet.definitions import parameters, small_copy
from yolo_example import cli
from yolo_example.caffe_export import ExportedModel, export_model, exporter, messages
from yolo_example.parsing import DarknetParser, read_model
from yolo_example.parsing.activations import ACTIVATIONS
from yolo_example.parsing.sections import EPSILONS, SECTIONS

DataPath = Callable[[str], Path]
WriteCfg = Callable[[str], Path]

TOLERANCE = 1e-4
SEED = 3

STANDARD = frozenset({
    "BNLL", "BatchNorm", "Concat", "Convolution", "Deconvolution", "ELU", "Eltwise", "Exp",
    "InnerProduct", "Input", "Pooling", "Power", "ReLU", "Reshape", "Scale", "Sigmoid", "Slice",
    "Softmax", "TanH",
})  # fmt: skip
"""Layers of BVLC Caffe."""


class Export:
    """A definition with its weights, in plugrt and as Caffe's files."""

    def __init__(
        self,
        cfg: Path,
        prefix: Path,
        weights: Path | None = None,
        *,
        batch_norm: str = "opencv",
        fold: bool = False,
    ) -> None:
        self.model = read_model(cfg, batch_norm=batch_norm)
        self.network = plugrt.Network()
        seed = SEED if weights is None else -1
        parser = DarknetParser(batch_norm=batch_norm, random_weights=seed)
        parser.parse(cfg, weights, self.network)
        self.files: ExportedModel = export_model(self.model, self.network, prefix, fold=fold)

    @property
    def text(self) -> str:
        """The prototxt."""
        return self.files.prototxt.read_text(encoding="utf-8")

    @property
    def types(self) -> list[str]:
        """The types of Caffe's layers."""
        words = [line.split() for line in self.text.splitlines()]
        return [value.strip('"') for name, value in (w for w in words if w[0] == "type:")]

    @property
    def ends(self) -> list[str]:
        """Blobs of the results: what heads read, or the last layer."""
        return list(self.files.heads.values()) or [self.network.layers[-1].name]

    def picture(self, images: int = 1) -> Array:
        """Made-up input of both signs."""
        sizes = self.network.inputs[0].shape[1:]
        random = np.random.default_rng(SEED)
        return random.normal(0.3, 1, (images, *sizes)).astype(np.float32)

    def plugrt_values(self, picture: Array, names: list[str]) -> dict[str, Array]:
        """What plugrt's engine makes of a picture."""
        for name in names:
            if name not in self.network.output_names:
                self.network.mark_output(self.network.tensors[name])
        config = plugrt.BuilderConfig(tune="off")
        with plugrt.build(self.network, config) as engine, engine.create_context() as context:
            results = context.execute({self.network.inputs[0].name: picture})
            return {name: results[name] for name in names}

    def opencv_values(self, picture: Array, names: list[str]) -> dict[str, Array]:
        """What OpenCV makes of the files."""
        reader = cv2.dnn.readNetFromCaffe(str(self.files.prototxt), str(self.files.caffemodel))
        reader.setInput(picture)
        return dict(zip(names, reader.forward(names), strict=True))


def assert_equal(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> None:
    distances = {name: relative_distance(ours[name], theirs[name]) for name in ours}
    assert ours
    assert {name: d for name, d in distances.items() if not d <= TOLERANCE} == {}


def definition(sections: str, net: str) -> str:
    """Sections separated by `|`, their options by blanks."""
    text = ""
    for section in (f"net {net}", *sections.split("|")):
        name, *options = section.split()
        text += f"[{name}]\n" + "".join(f"{option}\n" for option in options)
    return text


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


WIDE = 4_000_000
"""Networks with more weights lose filters."""

NOT_READ = {
    "crnn.train": r"\[crnn\] is not supported",
    "gru": r"\[gru\] is not supported",
    "rnn.train": r"\[rnn\] is not supported",
    "darknet53_448_xnor": "xnor=1 is not supported",
    "tiny-yolo_xnor": "xnor=1 is not supported",
    "cspx-p7-mish": "mask=16 names no anchor",
    "yolov1": r"\[local\] is not supported",
    "yolo9000": "tree",
}
"""Definitions that plugrt does not take; all others can be exported."""


LONG = 8_000
"""Bytes; the networks of longer definitions take their time."""


def definitions() -> list[object]:
    """All definitions, the long ones marked as slow."""
    marked = []
    for parameter in parameters("darknet/cfg"):
        (source,) = parameter.values
        is_long = source and Path(os.environ["PLUGRT_DATA"], source).stat().st_size > LONG
        marks = (pytest.mark.slow,) if is_long else ()
        marked.append(pytest.param(source, id=parameter.id, marks=marks))
    return marked


@pytest.mark.parametrize("source", definitions())
def test_every_definition(source: str, data_path: DataPath, tmp_path: Path) -> None:
    path = data_path(source)
    cfg = small_copy(path, tmp_path, narrow_above=WIDE)
    if path.stem in NOT_READ:
        with pytest.raises(ModelError, match=NOT_READ[path.stem]):
            Export(cfg, tmp_path / "net")
        return
    export = Export(cfg, tmp_path / "net")
    picture, ends = export.picture(), export.ends
    assert_equal(export.plugrt_values(picture, ends), export.opencv_values(picture, ends))
    assert STANDARD.issuperset(export.types)


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("source", parameters("darknet/models"))
def test_every_model(source: str, fold: bool, data_path: DataPath, tmp_path: Path) -> None:
    """The files against plugrt, and against OpenCV's own reader of Darknet's files."""
    cfg = data_path(source)
    weights = cfg.with_suffix(".weights")
    export = Export(cfg, tmp_path / cfg.stem, weights, fold=fold)
    picture, ends = export.picture(), export.ends
    exported = export.opencv_values(picture, ends)
    assert_equal(export.plugrt_values(picture, ends), exported)

    reader = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    reader.setInput(picture)
    names = reader.getLayerNames()
    heads = [name for name in names if reader.getLayer(name).type == "Region"]
    before = [names[names.index(head) - 2] for head in heads] or [names[-1]]
    darknets = reader.forward(before)
    assert_equal(exported, dict(zip(ends, darknets, strict=True)))

    caffe = cv2.dnn.readNetFromCaffe(str(export.files.prototxt), str(export.files.caffemodel))
    assert list(caffe.getUnconnectedOutLayersNames()) == ends


class Upsample:
    """A layer of some forks of Caffe, for OpenCV."""

    def __init__(self, parameters: Mapping[str, str], blobs: list[Array]) -> None:
        self.factor = int(parameters["scale"])

    def getMemoryShapes(self, inputs: list[list[int]]) -> list[list[int]]:  # noqa: N802
        images, channels, height, width = inputs[0]
        return [[images, channels, height * self.factor, width * self.factor]]

    def forward(self, inputs: list[Array]) -> list[Array]:
        return [inputs[0].repeat(self.factor, axis=2).repeat(self.factor, axis=3)]


@pytest.fixture
def upsample() -> Iterator[None]:
    """OpenCV knows the layer Upsample."""
    cv2.dnn_registerLayer("Upsample", Upsample)
    yield
    cv2.dnn_unregisterLayer("Upsample")


@pytest.mark.usefixtures("upsample")
def test_an_independent_conversion_has_the_same_values(data_path: DataPath, tmp_path: Path) -> None:
    cfg = data_path("darknet/models/mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc.cfg")
    # It leaves Caffe's eps at 1e-5, which is what the fork of Darknet adds.
    export = Export(cfg, tmp_path / "net", cfg.with_suffix(".weights"), batch_norm="fork")
    other = data_path("caffe/mobilenetv2-yolov3-nano-voc/MobileNetV2-YOLOv3-Nano-voc.prototxt")
    picture = cv2.imread(str(data_path("images/darknet/dog.jpg")))
    blob = cv2.dnn.blobFromImage(picture, 1 / 255, (320, 320), swapRB=True)
    reader = cv2.dnn.readNetFromCaffe(str(other), str(other.with_suffix(".caffemodel")))
    reader.setInput(blob)
    expected = reader.forward(["layer69-conv", "layer79-conv"])
    ends = export.ends
    assert_equal(export.opencv_values(blob, ends), dict(zip(ends, expected, strict=True)))


def test_heads_are_comments_that_lose_nothing(small_detector: Path, tmp_path: Path) -> None:
    export = Export(small_detector, tmp_path / "net")
    assert export.files.heads == {"008_yolo": "007_convolutional"}
    lines = export.text.splitlines()
    line = export.model.layers[8].section.line
    reads = "It reads 007_convolutional; its options:"
    assert f"# 008_yolo: [yolo], line {line}, is left out. {reads}" in lines
    for option in ("mask=0,1", "anchors=4,6,8,5,10,12", "num=3", "classes=2"):
        assert f"#   {option}" in lines
    line = export.model.layers[6].section.line
    assert f"# 006_dropout: [dropout], line {line}, changes nothing" in lines


def test_blobs_and_layers_are_called_as_in_an_engine(small_detector: Path, tmp_path: Path) -> None:
    export = Export(small_detector, tmp_path / "net")
    reader = cv2.dnn.readNetFromCaffe(str(export.files.prototxt), str(export.files.caffemodel))
    written = {layer.name for layer in export.network.layers} - {"008_yolo"}
    assert written <= set(reader.getLayerNames())


@pytest.fixture
def files(small_detector: Path) -> tuple[Path, Path]:
    """A definition and random weights."""
    weights = small_detector.with_suffix(".weights")
    made = cli.main(["random-weights", str(small_detector), "-o", str(weights), "--seed", "1"])
    assert made == 0
    return small_detector, weights


def test_the_command_says_what_it_wrote(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, weights = files
    assert cli.main(["export-caffe", str(cfg), str(weights)]) == 0
    said = capsys.readouterr().out
    for name in ("net.prototxt", "net.caffemodel"):
        assert f"{tmp_path / name}:" in said
    assert "008_yolo is left out: it reads 007_convolutional" in said
    reader = cv2.dnn.readNetFromCaffe(
        str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    )
    assert reader.getUnconnectedOutLayersNames() == ("007_convolutional",)


@pytest.mark.parametrize("prefix", ["other", "other.prototxt", "other.caffemodel"])
def test_the_command_takes_a_prefix_and_cuts(
    prefix: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    words = ["export-caffe", *map(str, files), "-o", str(tmp_path / prefix), "--cutoff", "3"]
    assert cli.main([*words, "--fold", "--batch-norm", "fork"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "net.cfg", "net.weights", "other.prototxt", "other.caffemodel",
    }  # fmt: skip
    text = (tmp_path / "other.prototxt").read_text(encoding="utf-8")
    assert "002_convolutional" in text
    assert "003_shortcut" not in text
    assert "BatchNorm" not in text


def test_the_parts_that_nothing_reads_are_named(write_cfg: WriteCfg, tmp_path: Path) -> None:
    path = write_cfg(definition(CASES["middle group"], NETS["even"]))
    text = Export(path, tmp_path / "net").text
    assert "#   Nothing reads 001_route.part1.before and 001_route.part1.behind.\n" in text


@pytest.mark.parametrize(
    ("prefix", "said"),
    [("/", "this is a folder"), ("absent/net", "cannot be written (No such file or directory)")],
)
def test_what_cannot_be_written_is_an_error(
    prefix: str,
    said: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["export-caffe", *map(str, files), "-o", str(tmp_path / prefix)]) == 2
    assert said in capsys.readouterr().err


def test_more_than_protocol_buffers_hold_is_refused(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporter, "LARGEST_FILE", 1000)
    assert cli.main(["export-caffe", *map(str, files)]) == 2
    assert "bytes of weights are more than readers of Caffe's files take (1000)" in (
        capsys.readouterr().err
    )


def test_wrong_weights_leave_the_files_as_they_were(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, weights = files
    weights.write_bytes(weights.read_bytes()[:-4])
    (tmp_path / "net.prototxt").write_text("old", encoding="utf-8")
    assert cli.main(["export-caffe", str(cfg), str(weights)]) == 2
    assert "4 bytes are missing" in capsys.readouterr().err
    assert (tmp_path / "net.prototxt").read_text(encoding="utf-8") == "old"
    assert not (tmp_path / "net.caffemodel").exists()


def test_the_command_says_how_to_install_protobuf(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    messages._library.cache_clear()
    assert cli.main(["export-caffe", *map(str, files)]) == 2
    assert "pip install 'plugrt-yolo[caffe]'" in capsys.readouterr().err
    assert not (tmp_path / "net.prototxt").exists()
