"""An engine with yolo or region layers as a detector of objects in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from plugrt import Engine
from plugrt.plugins import Array, PlanError, PlugrtError

from .boxes import Detection, place_in_picture, suppress_overlaps, to_detections
from .pictures import Placement, letterboxed, stretched, to_array


@runtime_checkable
class DetectionHead(Protocol):
    """What a layer must offer whose output holds boxes: those of yolo_example.layers do, and
    any other that stands in for them."""

    classes: int
    names: tuple[str, ...]
    letter_box: bool

    def decode(self, values: Array, threshold: float) -> Array:
        """The boxes in one image's output: see `DetectionLayer.decode`."""


class Detector:
    """Finds objects with a context of an engine.

    `names` go before the names in the plan. `letter_box` None takes what the plan says.
    The constructor raises PlanError when the engine is no detector.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        names: Sequence[str] = (),
        letter_box: bool | None = None,
        threads: int | None = None,
    ) -> None:
        self._heads = _detection_layers(engine)
        self.input_name, self.height, self.width = _picture_input(engine)
        layer = next(iter(self._heads.values()))
        if names and len(names) < layer.classes:
            raise PlugrtError(
                f"{len(names)} names are given, but the plan has {layer.classes} classes; give "
                "the names the net was trained with"
            )
        self.names = tuple(names) or layer.names
        self.letter_box = layer.letter_box if letter_box is None else letter_box
        self._context = engine.create_context(threads)

    def prepare(self, picture: Image.Image) -> tuple[Array, Placement]:
        """The network's input [1, 3, height, width] for a picture, and where the picture is."""
        pixels = to_array(picture)
        if self.letter_box:
            image, placement = letterboxed(pixels, self.height, self.width)
        else:
            image, placement = stretched(pixels, self.height, self.width), Placement()
        return image[np.newaxis], placement

    def detect(
        self, picture: Image.Image, threshold: float = 0.25, overlap: float = 0.45
    ) -> list[Detection]:
        """The objects with a score above `threshold`, the surest first; of boxes of one class
        whose intersection over union exceeds `overlap` only the surest."""
        image, placement = self.prepare(picture)
        boxes = self.boxes(self._context.execute({self.input_name: image}), threshold, overlap)
        return to_detections(
            place_in_picture(boxes, placement), self.names, picture.height, picture.width
        )

    def boxes(self, results: Mapping[str, Array], threshold: float, overlap: float) -> Array:
        """What `DetectionLayer.decode` finds in the first image of the engine's outputs, without
        overlapping boxes."""
        found = [layer.decode(results[name][0], threshold) for name, layer in self._heads.items()]
        return suppress_overlaps(np.concatenate(found), overlap)


def _detection_layers(engine: Engine) -> dict[str, DetectionHead]:
    """Every output's layer, by the output's name, which the parser takes from the layer."""
    heads: dict[str, DetectionHead] = {}
    for name in engine.outputs:
        layer: object = engine.layers.get(name)
        if isinstance(layer, DetectionHead):
            heads[name] = layer
    if not heads:
        raise PlanError(
            f"no output of the plan ({', '.join(engine.outputs)}) is that of a yolo or region "
            "layer, so it detects no objects; build the plan from a Darknet detector"
        )
    return heads


def _picture_input(engine: Engine) -> tuple[str, int, int]:
    """Name, height and width of the input."""
    inputs = dict(engine.inputs)
    if len(inputs) == 1:
        ((name, desc),) = inputs.items()
        sizes = [extent for extent in desc.shape[1:] if isinstance(extent, int)]
        if len(desc.shape) == 4 and len(sizes) == 3 and sizes[0] == 3:
            return name, sizes[1], sizes[2]
    described = ", ".join(f"{name} {desc}" for name, desc in inputs.items())
    raise PlanError(
        f"the plan's input is {described}; pictures need one input [N, 3, height, width]"
    )
