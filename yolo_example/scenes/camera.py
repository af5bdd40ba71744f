"""From the street to the picture.

Places on the ground are (across, along) in metres: `along` runs down the street, `across` to its
right. The camera stands above across=`position`, along=0, and looks along the street turned by
`yaw`. Uprights stay upright: the horizon is shifted instead of tilting the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, sin

from .canvas import Point

NEAREST = 0.6


@dataclass(frozen=True)
class Camera:
    """`focal`, `centre` and `horizon` in pixels; `height` above the ground in metres."""

    width: int
    picture_height: int
    focal: float
    horizon: float
    height: float
    position: float
    yaw: float

    @property
    def centre(self) -> float:
        """The column of the picture's middle."""
        return self.width / 2

    @cached_property
    def _turn(self) -> tuple[float, float]:
        return cos(self.yaw), sin(self.yaw)

    def sight(self, across: float, along: float) -> Point:
        """A place on the ground as the camera's right and depth, in metres."""
        x, (c, s) = across - self.position, self._turn
        return x * c - along * s, x * s + along * c

    def depth(self, across: float, along: float) -> float:
        """How far before the camera a place on the ground lies."""
        return self.sight(across, along)[1]

    def project(self, across: float, along: float, height: float) -> Point:
        """The pixel of a place; it must lie before the camera."""
        right, depth = self.sight(across, along)
        return self.pixel(right, max(depth, NEAREST), height)

    def pixel(self, right: float, depth: float, height: float) -> Point:
        """The pixel of a place given as seen from the camera."""
        scale = self.focal / depth
        return self.centre + right * scale, self.horizon + (self.height - height) * scale

    def scale(self, depth: float) -> float:
        """Pixels per metre at this depth."""
        return self.focal / depth
