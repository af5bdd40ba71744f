"""The [region] layer of YOLOv2."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import Array, attribute

from .detection_layer import DetectionLayer


class Region(DetectionLayer):
    """Logistic centre and objectness, classes by softmax or logistic; anchors in cells.

    Source: Redmon and Farhadi, YOLO9000 (arXiv:1612.08242), without its tree of classes.
    """

    type = "Darknet.Region"

    softmax = attribute(bool, True, "classes by softmax; else each by the logistic function")
    threshold = attribute(float, 0.5, "score threshold that the definition recommends")

    @property
    def anchor_count(self) -> int:
        return len(self.anchors) // 2

    @property
    def activations(self) -> tuple[bool, bool, float]:
        return (True, self.softmax, 1.0)

    def relative_sizes(self, height: int, width: int) -> Array:
        sizes = np.asarray(self.anchors, np.float32).reshape(-1, 2)
        return sizes / np.asarray([width, height], np.float32)

    @classmethod
    def exampleCases(cls) -> list[dict[str, Any]]:
        """Examples for plugrt's conformance kit."""
        values = np.random.default_rng(0).standard_normal((2, 14, 5, 6), np.float32)
        sizes = {"classes": 2, "anchors": (1.5, 2.5, 3.0, 1.0)}
        return [
            {"inputs": [values], "attributes": sizes},
            {"inputs": [values], "attributes": {**sizes, "softmax": False}},
        ]
