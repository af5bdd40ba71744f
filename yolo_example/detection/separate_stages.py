"""Pictures are prepared before the network runs, and boxes found behind it, by the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from plugrt import Engine
from plugrt.plugins import Array, PlanError, PlugrtError

from ..layers import NMS_KINDS
from ..preparation import Picture, PictureBatches, Placement, Preparation, prepare
from .boxes import suppress_overlaps
from .stages import FoundBoxes

DEFAULT_NMS = "default"
DEFAULT_BETA = 0.6
DEFAULT_THRESHOLD, DEFAULT_OVERLAP = 0.25, 0.45


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


class SeparateStages:
    """Around an engine whose outputs are the values of heads. Arguments and errors are those of
    `Detector`."""

    threshold, overlap = DEFAULT_THRESHOLD, DEFAULT_OVERLAP

    def __init__(
        self, engine: Engine, letter_box: bool | None, threads: int | None, batch_size: int,
        nms_kind: str | None,
    ) -> None:  # fmt: skip
        self._heads = _detection_layers(engine)
        layer = next(iter(self._heads.values()))
        self.names, self.classes = layer.names, layer.classes
        self.letter_box = layer.letter_box if letter_box is None else letter_box
        self._suppression = _suppression(self._heads, nms_kind)
        self._batches = PictureBatches(engine, batch_size=batch_size, threads=threads)
        self.input = self._batches.input
        self.batch_size, self.threads = self._batches.batch_size, self._batches.threads

    @property
    def _preparation(self) -> Preparation:
        return Preparation.LETTER_BOX if self.letter_box else Preparation.STRETCHED

    def prepare(self, picture: Picture) -> tuple[Array, Placement]:
        """Float32 [1, channels, height, width]."""
        shape = (1, self.input.channels, self.input.height, self.input.width)
        image = np.empty(shape, np.float32)
        return image, prepare(picture, self._preparation, image[0], self.threads)

    def boxes(
        self, outputs: Mapping[str, Array], threshold: float, overlap: float, index: int
    ) -> Array:
        """Those that every head decodes, without overlapping ones."""
        found = [
            layer.decode(outputs[name][index], threshold) for name, layer in self._heads.items()
        ]
        return suppress_overlaps(np.concatenate(found), overlap, *self._suppression)

    def run(
        self, pictures: Iterable[Picture], threshold: float, overlap: float
    ) -> Iterator[FoundBoxes]:
        """See `Stages`."""
        for batch in self._batches.run(pictures, self._preparation):
            start = time.perf_counter()
            rows = [
                self.boxes(batch.outputs, threshold, overlap, index)
                for index in range(len(batch.sizes))
            ]
            yield FoundBoxes(
                rows, batch.sizes, batch.placements, batch.preparation_seconds,
                batch.network_seconds, time.perf_counter() - start,
            )  # fmt: skip

    def close(self) -> None:
        """Release the context."""
        self._batches.close()


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
