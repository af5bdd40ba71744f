"""Softmax."""

from __future__ import annotations

from ..conversion import Conversion
from .registry import converts


@converts("Softmax")
def softmax(layer: Conversion) -> str:
    axis = layer.plugin.axis % (len(layer.sizes()) + 1)
    return layer.add("Softmax", layer.blobs(), "softmax", axis=axis)
