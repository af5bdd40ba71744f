"""Recipes of YOLO networks with heads that find as much as those of real ones.

Weights are random. So that the work behind the network is that of a trained one, the heads' are
larger, and their biases say that nearly all boxes are empty and nearly all classes unlikely;
and each net's threshold is the one that leaves a wanted number of candidates to the suppression
of overlaps, as many as real nets find in a busy street.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

import plugrt
from benchmarks.nets import NETS, Recipe
from benchmarks.nets.narrow import narrow
from benchmarks.nets.to_plugrt import to_plugrt
from plugrt.plugins import Array
from yolo_example.layers.anchor_layer import AnchorLayer
from yolo_example.layers.region import Region
from yolo_example.layers.yolo import Yolo

CANDIDATES = 150
CLASSES = 80
HEAD_SCALE: Mapping[str, float] = {"yolov3-tiny": 8.0, "yolov2": 8.0, "yolov3": 1.25}
"""What the heads' weights are multiplied by, so that values spread about as trained ones do."""

EMPTY, UNLIKELY = -8.0, -7.0
"""What is added to the biases of objectness and classes."""

OF_V3 = (10, 13, 16, 30, 33, 23, 30, 61, 62, 45, 59, 119, 116, 90, 156, 198, 373, 326)
OF_TINY = (10, 14, 23, 27, 37, 58, 81, 82, 135, 169, 344, 319)
OF_V2 = (0.57273, 0.677385, 1.87446, 2.06253, 3.33843, 5.47434, 7.88282, 3.52778, 9.77052, 9.16828)

HEADS: Mapping[str, Callable[[], list[AnchorLayer]]] = {
    "yolov3-tiny": lambda: [_yolo(OF_TINY, 3), _yolo(OF_TINY, 0)],
    "yolov2": lambda: [Region(anchors=OF_V2, classes=CLASSES)],
    "yolov3": lambda: [_yolo(OF_V3, 6), _yolo(OF_V3, 3), _yolo(OF_V3, 0)],
}
"""The heads that Darknet's definitions put behind the recipes' outputs, in their order."""


def _yolo(anchors: tuple[float, ...], first: int) -> AnchorLayer:
    return Yolo(anchors=anchors, mask=tuple(range(first, first + 3)), classes=CLASSES)


def recipe_of(net: str) -> Recipe:
    """The recipe, within the range of float16, with heads that find little."""
    recipe = narrow(NETS[net]())
    steps = {step.name: step for step in recipe.steps}
    for name, layer in zip(recipe.outputs, HEADS[net](), strict=True):
        weights, planes = steps[name].weights, layer.planes
        weights["weights"] = weights["weights"] * np.float32(HEAD_SCALE[net])
        bias = weights["bias"].reshape(-1, planes.count).copy()
        bias[:, planes.objectness] += EMPTY
        bias[:, planes.first_class :] += UNLIKELY
        weights["bias"] = bias.ravel()
    return recipe


def detector(net: str) -> plugrt.Network:
    """A recipe with its heads."""
    network = to_plugrt(recipe_of(net), 1)
    values = list(network.outputs)
    network.outputs.clear()
    network.output_names.clear()
    for number, (tensor, head) in enumerate(zip(values, HEADS[net](), strict=True)):
        network.mark_output(network.add_layer(head, [tensor], f"head_{number}").output)
    return network


def threshold_of(net: str, heads: list[Array]) -> float:
    """What leaves CANDIDATES candidates in the raw values of the heads."""
    scores = []
    for layer, values in zip(HEADS[net](), heads, strict=True):
        planes = layer.planes
        active = layer.reference([values])[0].reshape(-1, planes.count, *values.shape[2:])
        certain = active[:, planes.objectness, None]
        scores.append((certain * active[:, planes.first_class :]).ravel())
    ranked = np.sort(np.concatenate(scores))[::-1]
    return float((ranked[CANDIDATES - 1] + ranked[CANDIDATES]) / 2)
