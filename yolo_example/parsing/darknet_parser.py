"""The importer of Darknet models: a definition (`.cfg`) and its weights (`.weights`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plugrt.plugins import (
    Array,
    DataType,
    ModelError,
    ParsedModel,
    ParserPlugin,
    attribute,
    symbol,
)

from .class_names import read_data_file, read_names
from .end_to_end import end_to_end, why_not_end_to_end
from .graph_writer import GraphWriter
from .model_reader import NOT_SUPPORTED, DarknetModel, read_model
from .random_weights import random_blobs
from .sections import EPSILONS, SECTIONS, DarknetLayer
from .settings import NET_NAMES, TreeSettings
from .weights_file import WeightsFile

INPUT_NAME = "input"
FIRST_SECTION = re.compile(rb"(?:\s|[#;][^\n]*\n)*\[\s*(\w+)\s*\]")
KNOWN_SECTIONS = frozenset(NET_NAMES) | frozenset(SECTIONS) | NOT_SUPPORTED.keys()


class DarknetParser(ParserPlugin):
    """Fills a network with a Darknet model.

    The input is `input` [N, channels, height, width], float32, the batch symbolic. A layer's
    output is called `NNN_section`, NNN being Darknet's index. Outputs of the network are
    those of region, yolo and softmax layers, else that of the last one.
    """

    name = "darknet"

    data = attribute(str, "", "a .data file that names the file of class names")
    names = attribute(str, "", "the file of class names; goes before --data")
    cutoff = attribute(
        int,
        0,
        "keep the first N layers only; then the weights may be those of a cut network",
        allowed=lambda value: value >= 0,
        rule="a number of layers above 0, or 0 for all",
    )
    random_weights = attribute(
        int,
        -1,
        "make random weights from this seed instead of reading any; -1 makes none",
        allowed=lambda value: value >= -1,
        rule="a seed of at least 0",
    )
    batch_norm = attribute(
        str,
        "opencv",
        "what keeps batch normalization finite: 1e-6 below the root (opencv), 1e-6 beside it "
        "(darknet) or 1e-5 below it (fork); fork also for the biases of [batchnorm] and for "
        "shortcuts of unequal sizes",
        allowed=tuple(EPSILONS),
    )

    end_to_end = attribute(
        bool,
        False,
        "a detector takes pictures of any size, uint8 [N, height, width, 3], and gives boxes: "
        "preparation and suppression are layers of the network",
    )
    threshold = attribute(
        float,
        0.25,
        "with end_to_end: scores must exceed it",
        allowed=lambda value: 0 <= value <= 1,
        rule="0 to 1",
    )
    overlap = attribute(
        float,
        0.45,
        "with end_to_end: greatest intersection over union of two boxes of a class",
        allowed=lambda value: 0 <= value <= 1,
        rule="0 to 1",
    )
    tree = attribute(str, "", "the file that sections with tree= are to use")
    map = attribute(
        str, "", "a file of classes of the tree, one per line: only these are found, as 0, 1, ..."
    )
    hier_thresh = attribute(
        float,
        0.5,
        "how probable the class of a tree must be, else a more general one is found",
        allowed=lambda value: 0 <= value <= 1,
        rule="0 to 1",
    )

    @classmethod
    def accepts(cls, path: Path, head: bytes) -> bool:
        """True when a section of Darknet stands first, be it the wrong one: `parse` says so."""
        found = FIRST_SECTION.match(head.removeprefix(b"\xef\xbb\xbf"))
        return found is not None and found.group(1).decode("latin-1") in KNOWN_SECTIONS

    def parse(self, model: Path, weights: Path | None, network: Any) -> ParsedModel:
        """Fill `network`; with `end_to_end` it gives its layers to the one that is returned.

        Raises ModelError naming file and line or offset.
        """
        names: tuple[str, ...] = ()
        if self.names:
            names = read_names(Path(self.names))
        elif self.data:
            names = read_data_file(Path(self.data))
        trees = TreeSettings(
            Path(self.tree) if self.tree else None,
            Path(self.map) if self.map else None,
            self.hier_thresh,
        )
        darknet = read_model(
            model,
            batch_norm=self.batch_norm,
            class_names=names,
            cutoff=self.cutoff,
            trees=trees,
        )
        for layer in darknet.layers:
            layer.read_files()
        values = self._values(darknet, weights)
        if names:
            network.metadata["class_names"] = "\n".join(names)
        _fill(network, darknet, values)
        if self.end_to_end:
            reason = why_not_end_to_end(network)
            if reason is None:
                made = end_to_end(network, threshold=self.threshold, overlap=self.overlap)
                return ParsedModel(made, darknet.notes)
            darknet.notes.append(
                f"{model}: pictures are prepared and boxes found outside the network, since "
                f"{reason}"
            )
        return ParsedModel(network, darknet.notes)

    def _values(
        self, model: DarknetModel, weights: Path | None
    ) -> Iterable[tuple[DarknetLayer, Mapping[str, Array]]]:
        if self.random_weights >= 0:
            if weights is not None:
                raise ModelError(
                    f"{weights}: weights and --random-weights exclude each other; give one"
                )
            return random_blobs(model.layers, self.random_weights)
        if weights is None:
            raise ModelError(
                f"{model.path}: a Darknet model needs its weights; give the .weights file, or "
                "--random-weights SEED"
            )
        file = WeightsFile(weights, model.layers, cut=self.cutoff > 0)
        if file.unread:
            model.notes.append(
                f"{weights}: {file.unread} bytes behind layer {self.cutoff - 1} are not read"
            )
        return file.values()


def _fill(
    network: Any,
    model: DarknetModel,
    values: Iterable[tuple[DarknetLayer, Mapping[str, Array]]],
) -> None:
    shape = model.settings.input
    sizes = (shape.channels,) if shape.flat else (shape.channels, shape.height, shape.width)
    tensors = {-1: network.add_input(INPUT_NAME, DataType.FLOAT32, (symbol("N"), *sizes))}
    for layer, blobs in values:
        inputs = [tensors[index] for index in layer.sources]
        tensors[layer.index] = layer.write(GraphWriter(network, layer.name), inputs, blobs)
    outputs = [layer for layer in model.layers if layer.is_output] or model.layers[-1:]
    for layer in outputs:
        network.mark_output(tensors[layer.index], layer.name)
