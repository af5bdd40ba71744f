"""Which function builds which kind of vehicle."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cars import car, van
from .classes import BUS, CAR, TRUCK, VAN
from .heavy_vehicles import bus, truck
from .randomness import Dice
from .vehicle_parts import Vehicle

BUILDERS: Mapping[int, Callable[[Dice], Vehicle]] = {CAR: car, VAN: van, BUS: bus, TRUCK: truck}
