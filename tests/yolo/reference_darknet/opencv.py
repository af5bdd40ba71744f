"""OpenCV's dnn module as a judge: an independent reader of the same files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from plugrt.plugins import Array

LAYER_NAME = re.compile(r"(\w+)_(\d+)")
ACTIVATIONS = ("leaky", "relu", "swish", "mish", "logistic", "tanh", "hardswish", "relu6")


def predict(cfg: Path, weights: Path, picture: Array, sections: Iterable[int]) -> dict[int, Array]:
    """Values of the given sections, by Darknet's index, for one picture [channels, height, width].

    Raises cv2.error for what OpenCV does not know.
    """
    network = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
    network.setInput(picture[np.newaxis])
    names = section_names(network)
    wanted = list(sections)
    values = network.forward([names[index] for index in wanted])
    return dict(zip(wanted, values, strict=True))


def section_names(network: cv2.dnn.Net) -> dict[int, str]:
    """OpenCV's name of every section's last layer. An activation that belongs to section 3 is
    numbered 4, all else 3."""
    names: dict[int, str] = {}
    for name in network.getLayerNames():
        found = LAYER_NAME.fullmatch(name)
        if found:
            names[int(found[2]) - (found[1] in ACTIVATIONS)] = name
    return names
