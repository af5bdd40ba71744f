"""What is done with pictures on their way to boxes, wherever it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from plugrt.plugins import Array

from ..preparation import Picture, PictureInput, Placement


@dataclass(frozen=True)
class FoundBoxes:
    """The boxes of some pictures: for each of them rows as `DetectionLayer.decode` gives them,
    without boxes found twice, its height and width, and where it lies in the network's input."""

    rows: list[Array]
    sizes: list[tuple[int, int]]
    placements: list[Placement]
    preparation_seconds: float
    network_seconds: float
    box_seconds: float


class Stages(Protocol):
    """Preparation, network and boxes of an engine; one call at a time."""

    names: tuple[str, ...]
    """Those in the plan."""
    classes: int
    letter_box: bool
    threshold: float
    overlap: float
    """What callers get who ask for none."""
    input: PictureInput
    """What the pictures are made."""
    batch_size: int
    threads: int

    def prepare(self, picture: Picture) -> tuple[Array, Placement]:
        """The engine's input for a picture, and where that lies in the network's."""

    def boxes(
        self, outputs: Mapping[str, Array], threshold: float, overlap: float, index: int
    ) -> Array:
        """The boxes of image `index` in the engine's outputs."""

    def run(
        self, pictures: Iterable[Any], threshold: float, overlap: float
    ) -> Iterator[FoundBoxes]:
        """The boxes of all pictures in order, batch by batch as they are needed."""

    def close(self) -> None:
        """Release the context."""
