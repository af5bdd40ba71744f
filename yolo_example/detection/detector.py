"""An engine with yolo or region layers as a detector of objects in pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from plugrt import Engine
from plugrt.plugins import Array, PlanError, PlugrtError

from ..layers import NMS_KINDS
from ..parsing.class_names import enough_names
from ..preparation import Batch, Picture, PictureBatches, Placement, Preparation, prepare
from ..preparation.batches import DEFAULT_BATCH
from .boxes import Detection, suppress_overlaps, to_detections

DEFAULT_NMS = "default"
DEFAULT_BETA = 0.6


@runtime_checkable
class DetectionHead(Protocol):
    """What a layer must offer whose output holds boxes: those of yolo_example.layers do, and
    any other that stands in for them."""

    classes: int
    names: tuple[str, ...]
    letter_box: bool

    def decode(self, values: Array, threshold: float) -> Array:
        """The boxes in one image's output: see `DetectionLayer.decode`."""


@runtime_checkable
class SuppressionRule(Protocol):
    """What a head offers besides, where its definition says how overlaps are measured: two
    arguments of `suppress_overlaps`."""

    nms_kind: str
    beta_nms: float


@dataclass(frozen=True)
class Timing:
    """Seconds of a call, all its pictures together. Reading and decoding files is not in it."""

    preparation: float = 0.0
    network: float = 0.0
    boxes: float = 0.0


class Detector:
    """Finds objects with a context of an engine; one call at a time.

    `names` go before the names in the plan. `letter_box` None takes what the plan says; without
    a letter box pictures are stretched. Up to `batch_size` pictures go through the network at
    once, as far as the plan allows.

    Boxes found twice are those whose intersection over union is large, as in the first Darknet
    and OpenCV. `nms_kind` names another rule of `suppress_overlaps`; None takes that of the
    plan's last head, as the fork does.

    The constructor raises PlanError when the engine is no detector, PlugrtError for too few
    names, for numbers of threads or pictures below 1, and for an unknown kind of suppression.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        names: Sequence[str] = (),
        letter_box: bool | None = None,
        threads: int | None = None,
        batch_size: int = DEFAULT_BATCH,
        nms_kind: str | None = DEFAULT_NMS,
    ) -> None:
        self._heads = _detection_layers(engine)
        layer = next(iter(self._heads.values()))
        self.names = enough_names(names, layer.classes) or layer.names
        self.letter_box = layer.letter_box if letter_box is None else letter_box
        self._suppression = _suppression(self._heads, nms_kind)
        self._batches = PictureBatches(engine, batch_size=batch_size, threads=threads)
        self.input = self._batches.input
        self.timing = Timing()
        """Of the last call that ended."""

    @property
    def preparation(self) -> Preparation:
        """How pictures become as large as the network's input."""
        return Preparation.LETTER_BOX if self.letter_box else Preparation.STRETCHED

    @property
    def batch_size(self) -> int:
        """How many pictures go through the network at once."""
        return self._batches.batch_size

    def prepare(self, picture: Picture) -> tuple[Array, Placement]:
        """The network's input [1, channels, height, width] for a picture, and where the picture
        is. Raises ShapeError for what is no picture."""
        shape = (1, self.input.channels, self.input.height, self.input.width)
        image = np.empty(shape, np.float32)
        return image, prepare(picture, self.preparation, image[0], self._batches.threads)

    def detect(
        self, picture: Picture, threshold: float = 0.25, overlap: float = 0.45
    ) -> list[Detection]:
        """The objects with a score above `threshold`, the surest first; of boxes of one class
        whose intersection over union exceeds `overlap` only the surest.

        A picture is a Pillow image or a uint8 array [height, width, 3], red first. Raises
        ShapeError for anything else, and for one without pixels or with sides that are too long.
        """
        return self.detect_many([picture], threshold, overlap)[0]

    def detect_many(
        self, pictures: Iterable[Picture], threshold: float = 0.25, overlap: float = 0.45
    ) -> list[list[Detection]]:
        """What `detect` finds in each picture, in order.

        Pictures are taken from the iterable batch by batch, so they need not all be in memory.
        """
        found: list[list[Detection]] = []
        preparation = network = boxes = 0.0
        for batch in self._batches.run(pictures, self.preparation):
            start = time.perf_counter()
            found += self._detections(batch, threshold, overlap)
            boxes += time.perf_counter() - start
            preparation += batch.preparation_seconds
            network += batch.network_seconds
        self.timing = Timing(preparation, network, boxes)
        return found

    def boxes(
        self, outputs: Mapping[str, Array], threshold: float, overlap: float, index: int = 0
    ) -> Array:
        """What `DetectionLayer.decode` finds in image `index` of the engine's outputs, without
        overlapping boxes."""
        found = [
            layer.decode(outputs[name][index], threshold) for name, layer in self._heads.items()
        ]
        return suppress_overlaps(np.concatenate(found), overlap, *self._suppression)

    def close(self) -> None:
        """Release the context. The detector cannot be used afterwards."""
        self._batches.close()

    def _detections(
        self, batch: Batch, threshold: float, overlap: float
    ) -> Iterator[list[Detection]]:
        for index, (placement, size) in enumerate(zip(batch.placements, batch.sizes, strict=True)):
            boxes = self.boxes(batch.outputs, threshold, overlap, index)
            yield to_detections(boxes, self.names, *size, placement)


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


def _suppression(heads: Mapping[str, DetectionHead], nms_kind: str | None) -> tuple[str, float]:
    """Kind and beta for `suppress_overlaps`."""
    if nms_kind is not None and nms_kind not in NMS_KINDS:
        known = ", ".join(NMS_KINDS)
        raise PlugrtError(f"nms_kind={nms_kind!r} is no kind of suppression; use {known}, or None")
    last: object = list(heads.values())[-1]
    if not isinstance(last, SuppressionRule):
        return nms_kind or DEFAULT_NMS, DEFAULT_BETA
    return nms_kind or last.nms_kind, last.beta_nms
