"""Models exported to Caffe, and what OpenCV makes of the files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

import plugrt
from plugrt.plugins import Array
from tests.yolo.reference_darknet.comparing import relative_distance
from yolo_example.caffe_export import ExportedModel, export_model
from yolo_example.parsing import DarknetParser, read_model

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
