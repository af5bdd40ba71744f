"""What vehicles are made of."""

from __future__ import annotations

from .canvas import Color
from .solids import Decal, Pose, Prism, crosswise, disc

PAINTS: tuple[Color, ...] = (
    (0.82, 0.82, 0.83), (0.62, 0.64, 0.66), (0.16, 0.17, 0.19), (0.30, 0.32, 0.35),
    (0.68, 0.10, 0.10), (0.12, 0.24, 0.52), (0.20, 0.42, 0.60), (0.14, 0.34, 0.22),
    (0.76, 0.62, 0.20), (0.52, 0.36, 0.22), (0.80, 0.44, 0.16), (0.72, 0.70, 0.60),
)  # fmt: skip
LIVERIES: tuple[Color, ...] = (
    (0.78, 0.16, 0.12), (0.86, 0.66, 0.14), (0.88, 0.88, 0.86), (0.16, 0.36, 0.64),
    (0.20, 0.52, 0.36), (0.46, 0.22, 0.46),
)  # fmt: skip
TYRE: Color = (0.06, 0.06, 0.07)
HUB: Color = (0.50, 0.51, 0.53)
TRIM: Color = (0.10, 0.10, 0.11)
WHITE_LAMP: Color = (1.0, 0.96, 0.82)
RED_LAMP: Color = (0.85, 0.08, 0.06)


class Vehicle:
    """Solids in local places, with the footprint; the solid further off is drawn first."""

    def __init__(self, label: int, length: float, width: float, height: float) -> None:
        self.label = label
        self.length, self.width, self.height = length, width, height
        self.solids: list[tuple[float, Prism]] = []
        self.shaded = (length, width)

    def add(self, middle: float, prism: Prism) -> None:
        """A solid whose middle lies `middle` metres forward; on one place later is on top."""
        self.solids.append((middle, prism))

    def draw(self, pose: Pose) -> None:
        """Shadow and solids."""
        pose.shadow(*self.shaded)
        camera = pose.view.camera
        order = sorted(self.solids, key=lambda solid: -camera.depth(*pose.ground(solid[0], 0.0)))
        for _, prism in order:
            pose.draw(prism)


def wheel_decals(forward: float, side: float, radius: float) -> list[Decal]:
    """Arch, tyre and hub on a side face."""
    return [
        Decal(disc(forward, side, radius * 1.05, radius * 1.16), TRIM),
        Decal(disc(forward, side, radius, radius), TYRE),
        Decal(disc(forward, side, radius, radius * 0.58, 8), HUB),
    ]


def front_lamps(a: float, half: float, height: float) -> list[Decal]:
    """Two lamps on a front face."""
    return [
        Decal(crosswise(a, b, b + 0.32, height, height + 0.2), WHITE_LAMP, shines=True)
        for b in (-half + 0.08, half - 0.40)
    ]


def rear_lamps(a: float, half: float, low: float, high: float) -> list[Decal]:
    """Two lamps on a back face."""
    return [
        Decal(crosswise(a, b, b + 0.18, low, high), RED_LAMP, shines=True)
        for b in (-half + 0.05, half - 0.23)
    ]
