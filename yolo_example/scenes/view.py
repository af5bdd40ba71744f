"""What everything that is drawn needs at hand, and flat figures that face the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin

from .camera import NEAREST, Camera
from .canvas import Canvas, Color, Point
from .light import Light


@dataclass(frozen=True)
class View:
    """A picture under construction, seen by a camera in some light."""

    canvas: Canvas
    camera: Camera
    light: Light


class Figure:
    """A flat thing upright on the ground, drawn in metres: x to the right, y up.

    `squeeze` from -1 to 1 is its turn out of the picture's plane; below 0 it is mirrored.
    """

    def __init__(self, view: View, across: float, along: float, squeeze: float = 1.0) -> None:
        self.view = view
        right, depth = view.camera.sight(across, along)
        self.depth = max(depth, NEAREST)
        self.scale = view.camera.scale(self.depth)
        self._foot = view.camera.pixel(right, self.depth, 0.0)
        self._squeeze = squeeze

    def at(self, x: float, y: float) -> Point:
        """The pixel of a place."""
        return (
            self._foot[0] + x * self._squeeze * self.scale,
            self._foot[1] - y * self.scale,
        )

    def line(
        self, start: Point, end: Point, radius: float, color: Color, facing: float = 0.35
    ) -> None:
        """A round bar."""
        lit = self.view.light.lit(color, self.depth, facing)
        self.view.canvas.line(self.at(*start), self.at(*end), radius * self.scale, lit)

    def ellipse(
        self, centre: Point, across: float, down: float, color: Color, facing: float = 0.35
    ) -> None:
        """A filled ellipse; at least a third as wide as it would be unturned."""
        lit = self.view.light.lit(color, self.depth, facing)
        turned = max(abs(self._squeeze), 0.33)
        self.view.canvas.ellipse(
            self.at(*centre), across * turned * self.scale, down * self.scale, lit
        )

    def ring(self, centre: Point, radius: float, thickness: float, color: Color) -> None:
        """A wheel's rim."""
        lit = self.view.light.lit(color, self.depth)
        self.view.canvas.ring(
            self.at(*centre), max(radius * abs(self._squeeze), thickness) * self.scale,
            radius * self.scale, thickness * self.scale, lit,
        )  # fmt: skip

    def polygon(self, corners: Sequence[Point], color: Color, facing: float = 0.35) -> None:
        """A convex polygon."""
        lit = self.view.light.lit(color, self.depth, facing)
        self.view.canvas.polygon([self.at(*corner) for corner in corners], lit)

    def lamp(self, centre: Point, radius: float, color: Color, halo: float = 4.0) -> None:
        """A disc that shines, with a halo `halo` times its size where lamps stand out."""
        light, canvas = self.view.light, self.view.canvas
        place = self.at(*centre)
        canvas.ellipse(
            place, radius * self.scale, radius * self.scale, light.shining(color, self.depth)
        )
        if light.lamps > 0.2:
            strength = 0.5 * light.lamps
            r, g, b = color
            canvas.glow(
                place, radius * halo * self.scale, (r * strength, g * strength, b * strength)
            )

    def shadow(self, half_width: float, half_depth: float, strength: float = 1.0) -> None:
        """The ground under it, darker."""
        shade_ground(
            self.view, self._foot, self.scale, self.depth, half_width, half_depth, strength
        )


def shade_ground(
    view: View, foot: Point, scale: float, depth: float, half_width: float, half_depth: float,
    strength: float,
) -> None:  # fmt: skip
    """A soft dark ellipse on the ground."""
    # The ground seen from this height at this depth is foreshortened by their ratio.
    down = half_depth * scale * min(1.0, view.camera.height / depth) + 0.3
    across = half_width * scale
    corners = [
        (foot[0] + across * cos(k * 0.7854), foot[1] + down * sin(k * 0.7854)) for k in range(8)
    ]
    factor = 1 - 0.5 * strength * (1 - 0.7 * view.light.veil(depth))
    view.canvas.darken(corners, factor, max(1.0, 0.8 * down))
