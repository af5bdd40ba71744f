"""The [Gaussian_yolo] layer of Darknet's fork."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import attribute

from .anchor_layer import COPY, LOGISTIC, SCALE, Planes
from .detection_layer import COORDINATES
from .masked_anchors import MaskedAnchorLayer

CORNERS = {"center": 0.0, "left_top": 0.5, "right_bottom": -0.5}


class GaussianYolo(MaskedAnchorLayer):
    """[N, anchors * (9 + classes), height, width]: of every anchor x, y, width and height, each
    with its standard deviation behind it, objectness, and the classes. All logistic but width
    and height. The mean of the deviations reduces the score: times one minus it.

    Source: Choi et al., Gaussian YOLOv3 (arXiv:1904.04620).
    """

    type = "Darknet.GaussianYolo"

    yolo_point = attribute(
        str, "center", "which point of the box is predicted", allowed=tuple(CORNERS)
    )

    @property
    def corner(self) -> float:  # type: ignore[override]
        return CORNERS[self.yolo_point]

    @property
    def planes(self) -> Planes:
        objectness = 2 * COORDINATES
        count = objectness + 1 + self.classes
        runs = (
            (1, LOGISTIC | SCALE), (2, LOGISTIC), (3, LOGISTIC | SCALE), (4, LOGISTIC), (5, COPY),
            (6, LOGISTIC), (7, COPY), (count, LOGISTIC),
        )  # fmt: skip
        return Planes(count, objectness, objectness + 1, runs, step=2, uncertain=True)

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 22, 5, 6), np.float32)
        sizes = {"classes": 2, "anchors": (10, 13, 16, 30)}
        return [
            {"inputs": [values], "attributes": sizes},
            {"inputs": [values], "attributes": {**sizes, "scale_x_y": 1.1}},
            {"inputs": [values[:, :11]], "attributes": {**sizes, "mask": (1,)}},
        ]
