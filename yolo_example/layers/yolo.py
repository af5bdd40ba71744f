"""The [yolo] layer of YOLOv3 and its successors."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import attribute

from .anchor_layer import COPY, LOGISTIC, SCALE, Planes
from .detection_layer import COORDINATES
from .masked_anchors import MaskedAnchorLayer


class Yolo(MaskedAnchorLayer):
    """[N, anchors * (5 + classes), height, width]: of every anchor the centre in the cell, width
    and height, objectness, and the classes. Logistic centre, objectness and classes.

    Source: Redmon and Farhadi, YOLOv3 (arXiv:1804.02767); `scale_x_y` and `new_coords` as in
    YOLOv4 (arXiv:2004.10934) and Scaled-YOLOv4 (arXiv:2011.08036).
    """

    type = "Darknet.Yolo"

    new_coords = attribute(
        bool, False, "the layer before has activated all values; sizes are squared"
    )

    @property
    def squared_sizes(self) -> bool:  # type: ignore[override]
        return self.new_coords

    @property
    def planes(self) -> Planes:
        function = COPY if self.new_coords else LOGISTIC
        count = COORDINATES + 1 + self.classes
        runs = ((2, function | SCALE), (COORDINATES, COPY), (count, function))
        return Planes(count, COORDINATES, COORDINATES + 1, runs)

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 14, 5, 6), np.float32)
        sizes = {"classes": 2, "anchors": (10, 13, 16, 30)}
        return [
            {"inputs": [values], "attributes": sizes},
            {"inputs": [values], "attributes": {**sizes, "scale_x_y": 1.05}},
            {"inputs": [values], "attributes": {**sizes, "new_coords": True}},
            {"inputs": [values[:, :7]], "attributes": {**sizes, "mask": (1,)}},
        ]
