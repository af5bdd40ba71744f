"""What the last layers of detectors have in common, whatever their values look like.

The output is Darknet's: activated values in the places where the input has them. Boxes are made
of them afterwards, by `decode`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from plugrt.plugins import Array, attribute

from .._kernels import ffi
from .float_layer import FloatLayer

BOX_VALUES = 6

COORDINATES = 4

MOST_BOXES = 1 << 16
"""What `decode` returns at most: a low threshold must not fill the memory with boxes."""

USUAL_BOXES = 1 << 11
"""What `decode` has memory for at first."""

NMS_KINDS = ("default", "greedynms", "diounms", "cornersnms")


class DetectionLayer(FloatLayer):
    """One input and an output like it."""

    type = "Darknet.DetectionLayer"

    classes = attribute(
        int, 20, "number of classes", allowed=lambda n: n > 0, rule="a number above 0"
    )
    names: attribute[tuple[str, ...]] = attribute(
        tuple[str, ...], (), "names of the classes, for people"
    )
    letter_box = attribute(bool, False, "trained on pictures fitted into a grey frame")
    nms_kind = attribute(
        str, "default", "how the definition wants overlaps measured", allowed=NMS_KINDS
    )
    beta_nms = attribute(
        float,
        0.6,
        "power of the distance in diounms",
        allowed=lambda power: power > 0,
        rule="a number above 0",
    )

    @abstractmethod
    def decode(self, values: Array, threshold: float) -> Array:
        """The boxes in one image's output, float32, the output's shape without its first axis.

        Returns float32 [count, 6]: centre, width and height relative to the network's input,
        score and class, for every class whose score exceeds `threshold`. The score is the
        objectness, which must exceed it too, times that of the class, unless the layer says
        otherwise. Of more than MOST_BOXES those with the highest scores.
        """


def collect_rows(decode: Callable[[Any, int], int]) -> Array:
    """The rows that `decode(memory, capacity)` writes, MOST_BOXES at most; it returns their number.
    Float32 [count, 6]."""
    rows = np.empty((USUAL_BOXES, BOX_VALUES), np.float32)
    count = decode(ffi.from_buffer("float[]", rows.data), USUAL_BOXES)
    if count == USUAL_BOXES:  # too many; besides, full memory has lost the order of cells
        rows = np.empty((MOST_BOXES, BOX_VALUES), np.float32)
        count = decode(ffi.from_buffer("float[]", rows.data), MOST_BOXES)
    return rows[:count].copy()
