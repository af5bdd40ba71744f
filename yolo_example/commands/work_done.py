"""How many pictures went through a network, and how fast."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict

from ..classification import Timing as ClassificationTiming
from ..detection import Timing as DetectionTiming
from ..detection.reporting import times_per_picture


class WorkDone:
    """The sum of what calls took; as text, for people."""

    def __init__(self) -> None:
        self._count = 0
        self._seconds: dict[str, float] = defaultdict(float)

    def add(self, pictures: int, timing: DetectionTiming | ClassificationTiming) -> None:
        """One more call, with so many pictures."""
        self._count += pictures
        for name, seconds in asdict(timing).items():
            self._seconds[name] += seconds

    @property
    def pictures(self) -> str:
        """How many, in words."""
        return "1 picture" if self._count == 1 else f"{self._count} pictures"

    def __str__(self) -> str:
        if not self._count:
            return self.pictures
        return f"{self.pictures}; {times_per_picture(self._seconds, self._count)}"
