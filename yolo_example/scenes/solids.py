"""Solids of plane faces: prisms of a side profile, with pictures on their faces.

Local places are (forward, left, up) in metres. Faces that look away from the camera are not
drawn; those of one convex solid never hide each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi, sin

from .camera import NEAREST
from .canvas import Color, Point
from .view import View

Place = tuple[float, float, float]

GLASS: Color = (0.13, 0.17, 0.21)


@dataclass
class Decal:
    """A convex polygon on a face; `shines` for lamps, `glass` mirrors the sky."""

    corners: list[Place]
    color: Color
    shines: bool = False
    glass: bool = False


@dataclass
class Face:
    """A convex polygon, counter-clockwise seen from outside, and what is on it."""

    corners: list[Place]
    color: Color
    decals: list[Decal] = field(default_factory=list)


@dataclass
class Prism:
    """A profile of (forward, up), counter-clockwise seen from the right, between two sides.

    The half width may differ from corner to corner, for cabins that narrow upwards.
    """

    profile: list[Point]
    half_widths: list[float]
    color: Color
    right: list[Decal] = field(default_factory=list)
    left: list[Decal] = field(default_factory=list)
    strips: dict[int, list[Decal]] = field(default_factory=dict)
    """Decals of the face from corner k to the next."""

    strip_colors: dict[int, Color] = field(default_factory=dict)

    def faces(self) -> list[Face]:
        """All faces."""
        ends = list(zip(self.profile, self.half_widths, strict=True))
        right: list[Place] = [(a, -w, h) for (a, h), w in ends]
        left: list[Place] = [(a, w, h) for (a, h), w in ends]
        found = [Face(right, self.color, self.right), Face(left[::-1], self.color, self.left)]
        count = len(ends)
        for k in range(count):
            n = (k + 1) % count
            corners = [right[n], right[k], left[k], left[n]]
            color = self.strip_colors.get(k, self.color)
            found.append(Face(corners, color, self.strips.get(k, [])))
        return found


class Pose:
    """Where a solid stands and where it looks: `heading` 0 is along the street, pi / 2 to its
    right."""

    def __init__(self, view: View, across: float, along: float, heading: float) -> None:
        self.view = view
        self.across, self.along, self.heading = across, along, heading
        self._cos, self._sin = cos(heading), sin(heading)
        right, depth = view.camera.sight(across, along)
        self.depth = max(depth, NEAREST)
        self.scale = view.camera.scale(self.depth)
        self.foot = view.camera.pixel(right, self.depth, 0.0)

    def ground(self, forward: float, left: float) -> Point:
        """(across, along) of a local place."""
        return (
            self.across + forward * self._sin - left * self._cos,
            self.along + forward * self._cos + left * self._sin,
        )

    def pixel(self, place: Place) -> Point:
        """The pixel of a local place."""
        return self.view.camera.project(*self.ground(place[0], place[1]), place[2])

    def nearest(self, length: float, width: float) -> float:
        """The least depth of a footprint's corners."""
        return min(
            self.view.camera.depth(*self.ground(a * length / 2, b * width / 2))
            for a in (-1, 1)
            for b in (-1, 1)
        )

    def shadow(self, length: float, width: float) -> None:
        """The footprint's dark print on the ground, and the sun's shadow beside it."""
        self._footprint(length * 1.04, width * 1.12, 0.0, 0.0, 0.72)
        light = self.view.light
        if light.sun[0] > 0.3:
            toward = (-light.direction[0], -light.direction[1])
            reach = 0.9 / max(light.direction[2], 0.4)
            self._footprint(length, width, toward[0] * reach, toward[1] * reach, 0.42)

    def _footprint(
        self, length: float, width: float, across: float, along: float, strength: float
    ) -> None:
        camera = self.view.camera
        corners = []
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            x, y = self.ground(a * length / 2, b * width / 2)
            corners.append(camera.project(x + across, y + along, 0.0))
        factor = 1 - strength * (1 - 0.7 * self.view.light.veil(self.depth))
        self.view.canvas.darken(corners, factor, max(1.0, 0.22 * self.scale * 0.5))

    def draw(self, prism: Prism) -> None:
        """A solid's visible faces."""
        light, canvas = self.view.light, self.view.canvas
        for face in prism.faces():
            corners = [self.pixel(corner) for corner in face.corners]
            if not _turned_to_camera(corners):
                continue
            facing = self._facing(face.corners)
            canvas.polygon(corners, light.lit(face.color, self.depth, facing))
            for decal in face.decals:
                self._draw_decal(decal, facing)

    def _draw_decal(self, decal: Decal, facing: float) -> None:
        light, canvas = self.view.light, self.view.canvas
        corners = [self.pixel(corner) for corner in decal.corners]
        if decal.shines and light.lamps > 0.2:
            canvas.polygon(corners, light.shining(decal.color, self.depth))
            x = sum(u for u, _ in corners) / len(corners)
            y = sum(v for _, v in corners) / len(corners)
            strength = 0.6 * light.lamps
            r, g, b = decal.color
            canvas.glow((x, y), 0.75 * self.scale, (r * strength, g * strength, b * strength))
        elif decal.glass:
            sky = light.sky_below
            tint = tuple(
                0.8 * g * (a + 0.2) + 0.22 * s
                for g, a, s in zip(decal.color, light.ambient, sky, strict=True)
            )
            canvas.polygon(corners, light.lit((tint[0], tint[1], tint[2]), self.depth, 0.5))
        else:
            canvas.polygon(corners, light.lit(decal.color, self.depth, facing))

    def _facing(self, corners: Sequence[Place]) -> float:
        """The share of the sun that falls on a face."""
        (a0, b0, h0), (a1, b1, h1), (a2, b2, h2) = corners[0], corners[1], corners[2]
        u, v = (a1 - a0, b1 - b0, h1 - h0), (a2 - a0, b2 - b0, h2 - h0)
        na, nb, nh = (
            u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0],
        )  # fmt: skip
        length = (na * na + nb * nb + nh * nh) ** 0.5 or 1.0
        across = (na * self._sin - nb * self._cos) / length
        along = (na * self._cos + nb * self._sin) / length
        sun = self.view.light.direction
        return max(0.0, across * sun[0] + along * sun[1] + nh / length * sun[2]) + 0.12


def disc(forward: float, side: float, up: float, radius: float, count: int = 12) -> list[Place]:
    """A wheel's corners on a side face."""
    return [
        (forward + radius * cos(2 * pi * k / count), side, up + radius * sin(2 * pi * k / count))
        for k in range(count)
    ]


def upright(a0: float, a1: float, side: float, h0: float, h1: float) -> list[Place]:
    """A rectangle on a side face."""
    return [(a0, side, h0), (a1, side, h0), (a1, side, h1), (a0, side, h1)]


def crosswise(a: float, b0: float, b1: float, h0: float, h1: float) -> list[Place]:
    """A rectangle on a front or back face."""
    return [(a, b0, h0), (a, b1, h0), (a, b1, h1), (a, b0, h1)]


def _turned_to_camera(corners: Sequence[Point]) -> bool:
    return (
        sum(corners[k - 1][0] * y - x * corners[k - 1][1] for k, (x, y) in enumerate(corners)) < 0
    )
