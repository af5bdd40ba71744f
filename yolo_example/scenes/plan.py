"""The street itself: how broad, how straight, where crossed, what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Color
from .randomness import Dice

ASPHALT: tuple[Color, ...] = (
    (0.31, 0.32, 0.34),
    (0.37, 0.37, 0.38),
    (0.42, 0.41, 0.40),
    (0.28, 0.29, 0.32),
)
PAVEMENTS: tuple[Color, ...] = ((0.62, 0.60, 0.57), (0.56, 0.55, 0.55), (0.60, 0.53, 0.48))
VERGES: tuple[Color, ...] = ((0.36, 0.46, 0.22), (0.42, 0.46, 0.26), (0.58, 0.56, 0.52))

JUNCTION_WIDTH = 11.0
LAMP_DISTANCE = 17.0
LAMP_ARM = 1.4


@dataclass(frozen=True)
class StreetPlan:
    """Metres. Lanes lie side by side, half of them on either side of the middle."""

    lanes: int
    lane_width: float
    parking: float
    pavement: float
    setback: float
    junction: float | None
    zebra: float | None
    lamps: tuple[float, float] | None
    is_town: bool
    asphalt: Color
    paving: Color
    verge: Color

    @property
    def driven(self) -> float:
        """Half the width that cars drive on."""
        return self.lanes / 2 * self.lane_width

    @property
    def road(self) -> float:
        """Half the width between the kerbs."""
        return self.driven + self.parking

    @property
    def lamp_post(self) -> float:
        """From the middle to the lamp posts, whose first ones `lamps` names along the street,
        left and right."""
        return self.road + 0.4

    @property
    def kerb(self) -> float:
        """From the middle to the far edge of the pavement."""
        return self.road + self.pavement

    @property
    def wall(self) -> float:
        """From the middle to the houses."""
        return self.kerb + self.setback

    def in_junction(self, along: float, margin: float = 0.0) -> bool:
        """Whether a place lies where the other street crosses."""
        start = self.junction
        return start is not None and start - margin < along < start + JUNCTION_WIDTH + margin


def draw_plan(dice: Dice) -> StreetPlan:
    """A street."""
    is_town = dice.chance(0.7)
    junction = dice.towards_low(11, 45) if dice.chance(0.68) else None
    zebra = None
    if junction is not None and dice.chance(0.7):
        zebra = junction - 4.0
    elif dice.chance(0.35):
        zebra = dice.towards_low(8, 30)
    return StreetPlan(
        lanes=dice.weighted([(2, 0.7), (4, 0.3)]),
        lane_width=dice.uniform(3.0, 3.5),
        parking=2.1 if dice.chance(0.6) else 0.3,
        pavement=dice.uniform(2.2, 4.5),
        setback=dice.uniform(0.0, 1.0) if is_town else dice.uniform(3.0, 9.0),
        junction=junction,
        zebra=zebra,
        lamps=(dice.uniform(5, 16), dice.uniform(5, 16)) if dice.chance(0.8) else None,
        is_town=is_town,
        asphalt=dice.pick(ASPHALT),
        paving=dice.pick(PAVEMENTS),
        verge=VERGES[2] if is_town and dice.chance(0.5) else dice.pick(VERGES),
    )
