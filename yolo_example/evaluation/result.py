"""What an evaluation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..detection import Timing
from .bootstrap import CONFIDENCE, Interval
from .class_mapping import ClassMapping


@dataclass(frozen=True)
class ClassResult:
    """One class that labels show: how many objects, and its average precision at an
    intersection over union of 0.5, and on average from 0.5 to 0.95."""

    name: str
    objects: int
    ap_50: float
    ap: float


@dataclass(frozen=True)
class Evaluation:
    """The mean average precision of a detector on labelled pictures, over their classes.

    `map_50` counts a box as right from an intersection over union of 0.5 on; `map` is the mean
    from 0.5 to 0.95. The intervals are those of the bootstrap over pictures, None where none
    was asked for. `timing` is that of all pictures together.
    """

    map_50: float
    map: float
    map_50_interval: Interval | None
    map_interval: Interval | None
    samples: int
    classes: tuple[ClassResult, ...]
    images: int
    objects: int
    timing: Timing
    mapping: ClassMapping

    def as_plain(self) -> dict[str, Any]:
        """The result as JSON knows it."""
        return {
            "map_50": self.map_50,
            "map": self.map,
            "intervals": {
                "confidence": CONFIDENCE,
                "samples": self.samples,
                "map_50": _plain(self.map_50_interval),
                "map": _plain(self.map_interval),
            },
            "images": self.images,
            "objects": self.objects,
            "classes": [asdict(found) for found in self.classes],
            "renamed": [
                {"plan": plan, "dataset": dataset} for plan, dataset in self.mapping.renamed
            ],
            "only_in_plan": list(self.mapping.only_in_plan),
            "only_in_dataset": list(self.mapping.only_in_dataset),
            "seconds": asdict(self.timing),
        }


def _plain(interval: Interval | None) -> dict[str, float] | None:
    return asdict(interval) if interval else None
