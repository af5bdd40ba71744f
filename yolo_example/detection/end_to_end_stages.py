"""Pictures go into the network as they are, and boxes come out: all stages are its layers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from plugrt import Engine
from plugrt.plugins import Array, DimLike, PlanError, PlugrtError, ShapeError

from ..layers.boxes import Boxes
from ..layers.prepare_pictures import PreparePictures
from ..preparation import Picture, PictureInput, Placement, Preparation
from ..preparation.pixels import COLORS, size_of
from .boxes import SCORE
from .stages import FoundBoxes


class EndToEndStages:
    """Around an engine that `yolo_example.parsing.end_to_end` has prepared. Arguments and errors
    are those of `Detector`; what was decided at the build can only be confirmed."""

    def __init__(
        self, engine: Engine, letter_box: bool | None, threads: int | None, batch_size: int,
        nms_kind: str | None,
    ) -> None:  # fmt: skip
        if batch_size < 1:
            raise PlugrtError(f"batch_size={batch_size} is not possible; use 1 or more")
        self._prepared, self._found = _layers(engine)
        kind = self._prepared.kind
        self.names, self.classes = self._found.names, self._found.classes
        self.threshold, self.overlap = self._found.threshold, self._found.overlap
        self.letter_box = kind is Preparation.LETTER_BOX
        if letter_box not in (None, self.letter_box):
            raise _fixed("letter_box", letter_box, self.letter_box)
        if nms_kind not in (None, self._found.nms_kind):
            raise _fixed("nms_kind", nms_kind, self._found.nms_kind)
        ((name, desc),) = engine.inputs.items()
        self._depth = desc.shape[3] if isinstance(desc.shape[3], int) else COLORS
        least, largest = _batches(engine, desc.shape[0])
        prepared = self._prepared
        self.input = PictureInput(
            name, prepared.channels, prepared.height, prepared.width, least, largest
        )
        self.batch_size = self.input.batch_size(batch_size)
        self._context = engine.create_context(threads)
        self.threads = self._context.threads
        self._boxes, self._counts = engine.outputs

    def prepare(self, picture: Picture) -> tuple[Array, Placement]:
        """Uint8 [1, H, W, 3 or 4]: the picture as it is."""
        size = size_of(picture)
        return self._stacked([picture], size, 1), self._prepared.placement(*size)

    def boxes(
        self, outputs: Mapping[str, Array], threshold: float, overlap: float, index: int
    ) -> Array:
        """The rows in the outputs with a score above `threshold`."""
        self._check(threshold, overlap)
        rows = outputs[self._boxes][index, : int(outputs[self._counts][index])]
        if threshold == self.threshold:
            return rows
        return rows[: int(np.searchsorted(-rows[:, SCORE], -np.float32(threshold)))]

    def run(
        self, pictures: Iterable[Any], threshold: float, overlap: float
    ) -> Iterator[FoundBoxes]:
        """See `Stages`. Neighbours of one size go through the network together; a picture may
        also be a uint8 array [H, W, 3 or 4] on the GPU, by DLPack or `__cuda_array_interface__`,
        that lets `[None]` add an axis."""
        self._check(threshold, overlap)
        some: list[Any] = []
        size = (0, 0)
        for picture in pictures:
            here = _size_of(picture)
            if some and (here != size or _is_foreign(picture) or _is_foreign(some[-1])):
                yield self._execute(some, size, threshold, overlap)
                some = []
            some.append(picture)
            size = here
            if len(some) == self.batch_size:
                yield self._execute(some, size, threshold, overlap)
                some = []
        if some:
            yield self._execute(some, size, threshold, overlap)

    def close(self) -> None:
        """Release the context."""
        self._context.close()

    def _execute(
        self, pictures: list[Any], size: tuple[int, int], threshold: float, overlap: float
    ) -> FoundBoxes:
        start = time.perf_counter()
        if _is_foreign(pictures[0]):
            given = pictures[0][None]
        else:
            given = self._stacked(pictures, size, max(len(pictures), self.input.least_batch))
        stacked = time.perf_counter()
        outputs = self._context.execute({self.input.name: given})
        done = time.perf_counter()
        rows = [self.boxes(outputs, threshold, overlap, n) for n in range(len(pictures))]
        placement = self._prepared.placement(*size)
        count = len(pictures)
        return FoundBoxes(
            rows, [size] * count, [placement] * count, stacked - start, done - stacked,
            time.perf_counter() - done,
        )  # fmt: skip

    def _stacked(self, pictures: list[Picture], size: tuple[int, int], count: int) -> Array:
        arrays = [
            np.asarray(one.convert("RGB") if isinstance(one, Image.Image) else one)
            for one in pictures
        ]
        if count == 1 and self._depth == COLORS:
            return arrays[0][None]
        stacked = np.zeros((count, *size, self._depth), np.uint8)
        for place, array in zip(stacked, arrays, strict=False):
            place[..., :COLORS] = array
        return stacked

    def _check(self, threshold: float, overlap: float) -> None:
        if threshold < self.threshold:
            raise PlugrtError(
                f"threshold={threshold:g} is below {self.threshold:g}, with which the plan "
                "was built; ask for that or more, or build it with a lower threshold"
            )
        if overlap != self.overlap:
            raise _fixed("overlap", overlap, self.overlap)


def is_end_to_end(engine: Engine) -> bool:
    """Whether an engine takes pictures and gives boxes."""
    return any(isinstance(layer, Boxes) for layer in engine.layers.values())


def _layers(engine: Engine) -> tuple[PreparePictures, Boxes]:
    """The first and the last layer. Raises PlanError where there is another number of them."""
    layers = engine.layers.values()
    prepared = [layer for layer in layers if isinstance(layer, PreparePictures)]
    found = [layer for layer in layers if isinstance(layer, Boxes)]
    if len(prepared) != 1 or len(found) != 1 or len(engine.inputs) != 1 or len(engine.outputs) != 2:
        raise PlanError(
            f"the plan has {len(prepared)} layers {PreparePictures.type} and {len(found)} layers "
            f"{Boxes.type}; a detector has one of each, one input and two outputs: build it "
            "with end_to_end"
        )
    return prepared[0], found[0]


def _batches(engine: Engine, batch: DimLike) -> tuple[int, int | None]:
    """The least and the largest number of pictures; None for any."""
    if isinstance(batch, int):
        return batch, batch
    profile = engine.info.profiles.get(str(batch))
    return (1, None) if profile is None else (max(profile[0], 1), profile[2])


def _size_of(picture: Any) -> tuple[int, int]:
    if not _is_foreign(picture):
        return size_of(picture)
    shape = tuple(picture.shape)
    if len(shape) != 3:
        raise ShapeError(
            f"the picture is an array {list(shape)}; give uint8 [height, width, 3], red first"
        )
    return int(shape[0]), int(shape[1])


def _is_foreign(picture: object) -> bool:
    """Whether it is an array of another library, which may be on a GPU."""
    known = isinstance(picture, (np.ndarray, Image.Image))
    return not known and (
        hasattr(picture, "__cuda_array_interface__") or hasattr(picture, "__dlpack__")
    )


def _fixed(name: str, asked: object, built: object) -> PlugrtError:
    return PlugrtError(
        f"{name}={asked!r} is not possible: the plan was built end to end with {name}={built!r}; "
        "ask for that, or build it anew"
    )
