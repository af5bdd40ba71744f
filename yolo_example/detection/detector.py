"""An engine with yolo or region layers as a detector of objects in pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugrt import Engine
from plugrt.plugins import Array

from ..parsing.class_names import enough_names
from ..preparation import Picture, Placement, Preparation
from ..preparation.batches import DEFAULT_BATCH
from .boxes import Detection, to_detections
from .end_to_end_stages import EndToEndStages, is_end_to_end
from .separate_stages import DEFAULT_NMS, SeparateStages
from .stages import Stages


@dataclass(frozen=True)
class Timing:
    """Seconds of a call, all its pictures together. Reading and decoding files is not in it.

    Of plans that were built end to end all but the making of arrays and of `Detection`s is the
    network's.
    """

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

    A plan that was built end to end prepares pictures and finds boxes itself, in one graph on a
    GPU. Then `letter_box`, `nms_kind`, `overlap` and the least `threshold` are those of the
    build; pictures may lie on the GPU, and up to `batch_size` neighbours of one size go through
    the network at once.

    The constructor raises PlanError when the engine is no detector, PlugrtError for too few
    names, for numbers of threads or pictures below 1, for an unknown kind of suppression, and
    for what a plan that was built end to end does otherwise.
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
        kind = EndToEndStages if is_end_to_end(engine) else SeparateStages
        self._stages: Stages = kind(engine, letter_box, threads, batch_size, nms_kind)
        self.names = enough_names(names, self._stages.classes) or self._stages.names
        self.letter_box = self._stages.letter_box
        self.input = self._stages.input
        self.timing = Timing()
        """Of the last call that ended."""

    @property
    def is_end_to_end(self) -> bool:
        """Whether the plan prepares pictures and finds boxes itself."""
        return isinstance(self._stages, EndToEndStages)

    @property
    def preparation(self) -> Preparation:
        """How pictures become as large as the network's input."""
        return Preparation.LETTER_BOX if self.letter_box else Preparation.STRETCHED

    @property
    def batch_size(self) -> int:
        """How many pictures go through the network at once."""
        return self._stages.batch_size

    def prepare(self, picture: Picture) -> tuple[Array, Placement]:
        """The engine's input for a picture, with a batch of 1, and where the picture lies in
        the network's. Raises ShapeError for what is no picture."""
        return self._stages.prepare(picture)

    def detect(
        self, picture: Any, threshold: float | None = None, overlap: float | None = None
    ) -> list[Detection]:
        """The objects with a score above `threshold`, the surest first; of boxes of one class
        whose intersection over union exceeds `overlap` only the surest. By default these are
        0.25 and 0.45, or what a plan was built with end to end.

        A picture is a Pillow image or a uint8 array [height, width, 3], red first; for a plan
        that was built end to end it may be such an array on the GPU, of torch or CuPy. Raises
        ShapeError for anything else, and for one without pixels or with sides that are too long,
        PlugrtError for a threshold or an overlap that such a plan cannot do.
        """
        return self.detect_many([picture], threshold, overlap)[0]

    def detect_many(
        self, pictures: Iterable[Any], threshold: float | None = None,
        overlap: float | None = None,
    ) -> list[list[Detection]]:
        """What `detect` finds in each picture, in order.

        Pictures are taken from the iterable batch by batch, so they need not all be in memory.
        """
        detections: list[list[Detection]] = []
        preparation = network = boxes = 0.0
        threshold = self._stages.threshold if threshold is None else threshold
        overlap = self._stages.overlap if overlap is None else overlap
        for found in self._stages.run(pictures, threshold, overlap):
            start = time.perf_counter()
            detections += [
                to_detections(rows, self.names, *size, placement)
                for rows, size, placement in zip(
                    found.rows, found.sizes, found.placements, strict=True
                )
            ]
            boxes += found.box_seconds + time.perf_counter() - start
            preparation += found.preparation_seconds
            network += found.network_seconds
        self.timing = Timing(preparation, network, boxes)
        return detections

    def boxes(
        self, outputs: Mapping[str, Array], threshold: float, overlap: float, index: int = 0
    ) -> Array:
        """What is found in image `index` of the engine's outputs, without overlapping boxes: rows
        as those of `DetectionLayer.decode`."""
        return self._stages.boxes(outputs, threshold, overlap, index)

    def close(self) -> None:
        """Release the context. The detector cannot be used afterwards."""
        self._stages.close()
