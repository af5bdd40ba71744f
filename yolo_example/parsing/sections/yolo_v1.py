"""[detection]: the last layer of the first YOLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer
from .detection import TRAINING_OPTIONS, DetectionSection


class Detection(DetectionSection):
    """A vector of classes, scales and boxes for a grid of side x side cells."""

    names = ("detection",)
    ignored = TRAINING_OPTIONS - {"sqrt"} | {"reorg"}

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.read_classes(options, default=1)
        self.side = options.integer("side", 7, minimum=1, maximum=1024)
        self.boxes = options.integer("num", 1, minimum=1, maximum=1024)
        self.square_roots = options.flag("sqrt")
        self.softmax = options.flag("softmax")
        coords = options.integer("coords", 1)
        if coords != 4:
            raise options.error("coords", f"coords={coords}, but a box has 4; write coords=4")
        wanted = self.side**2 * (self.classes + self.boxes * (1 + coords))
        if self.source.size != wanted:
            raise options.error(
                "side",
                f"side={self.side}, num={self.boxes} and classes={self.classes} need an input of "
                f"{wanted} values, but it is {self.source}; correct output= of the layer before",
            )
        self.output = FeatureShape(wanted, flat=True)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = inputs[0]
        if not self.source.flat:
            tensor = writer.layer("Flatten", [tensor], "flat", axis=1)
        return writer.layer(
            "Darknet.Detection",
            [tensor],
            side=self.side,
            boxes=self.boxes,
            square_roots=self.square_roots,
            softmax=self.softmax,
            **self.attributes(),
        )
