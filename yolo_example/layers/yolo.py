"""The [yolo] layer of YOLOv3 and its successors."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import Array, attribute

from .detection_layer import DetectionLayer


class Yolo(DetectionLayer):
    """Logistic centre, objectness and classes; anchors in pixels of the network's input.

    Source: Redmon and Farhadi, YOLOv3 (arXiv:1804.02767); `scale_x_y` and `new_coords` as in
    YOLOv4 (arXiv:2004.10934) and Scaled-YOLOv4 (arXiv:2011.08036).
    """

    type = "Darknet.Yolo"

    mask: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (),
        "which of the anchors this layer uses; none given means all",
        allowed=lambda mask: all(index >= 0 for index in mask),
        rule="indices from 0",
    )
    image_size: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (416, 416),
        "height and width of the network's input",
        allowed=lambda size: len(size) == 2 and min(size) > 0,
        rule="two numbers above 0",
    )
    scale_x_y = attribute(float, 1.0, "factor that widens the range of the centre")
    new_coords = attribute(
        bool, False, "the layer before has activated all values; sizes are squared"
    )

    @property
    def used_anchors(self) -> tuple[int, ...]:
        """Indices of the anchors in use."""
        return self.mask or tuple(range(len(self.anchors) // 2))

    @property
    def anchor_count(self) -> int:
        return len(self.used_anchors)

    @property
    def activations(self) -> tuple[bool, bool, float]:
        return (not self.new_coords, False, self.scale_x_y)

    @property
    def squared_sizes(self) -> bool:  # type: ignore[override]
        return self.new_coords

    def relative_sizes(self, height: int, width: int) -> Array:
        sizes = np.asarray(self.anchors, np.float32).reshape(-1, 2)[list(self.used_anchors)]
        return sizes / np.asarray(self.image_size[::-1], np.float32)

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
