"""Small heads with boxes in them, for plugrt's conformance kit."""

from __future__ import annotations

from typing import Any

import numpy as np

from plugrt.plugins import Array

from .anchor_layer import AnchorLayer
from .head_descriptions import describe_head
from .region import Region
from .yolo import Yolo


def examples() -> list[dict[str, Any]]:
    """Of the layer Darknet.Boxes."""
    large = Yolo(classes=2, anchors=(200, 230, 260, 300), scale_x_y=1.05)
    small = Yolo(classes=2, anchors=(80, 90, 100, 130, 40, 30), mask=(0, 2))
    squared = Yolo(classes=2, anchors=(200, 230, 260, 300), new_coords=True)
    region = Region(classes=2, anchors=(1.5, 2.5, 3.0, 1.0))
    return [
        _example([large, small], limit=24),
        _example([large, small], limit=3, nms_kind="diounms", beta_nms=0.4),
        _example([squared], nms_kind="greedynms", limit=24),
        _example([region], limit=24, overlap=0.2),
        _example([Region(**{**region.attribute_values, "softmax": False})], limit=24),
        _example([Region(**{**region.attribute_values, "background": True})], limit=24),
        # More boxes than are compared.
        _example([large], cells=(17, 18), limit=40, capacity=128, threshold=0.0, overlap=0.1),
    ]


def _example(
    layers: list[AnchorLayer], cells: tuple[int, int] = (4, 5), **attributes: Any
) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    inputs: list[Array] = []
    for step, layer in enumerate(layers, 1):
        shape = (2, layer.anchor_count * layer.planes.count, step * cells[0], step * cells[1])
        inputs.append(rng.standard_normal(shape).astype(np.float32))
    heads = tuple(describe_head(layer) for layer in layers)
    return {"inputs": inputs, "attributes": {"heads": heads, "threshold": 0.3, **attributes}}
