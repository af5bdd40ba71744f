"""A whole scene: the picture and the boxes of what can be seen in it."""

from __future__ import annotations

from dataclasses import dataclass

from .camera import Camera
from .canvas import Canvas
from .ground import draw_ground, draw_sky
from .houses import draw_house, draw_houses, draw_skyline, shade_edge
from .lens import expose
from .light import draw_light
from .painter import NOMINAL_WIDTH, LabelledBox, Painter
from .passers import pass_by
from .plan import StreetPlan, draw_plan
from .randomness import Array, Dice
from .standing import furnish
from .street import Street
from .traffic import drive
from .view import View

TRAINING, HELD_OUT = "training", "held-out"
"""Names of the splits. Scenes of different splits have nothing in common, whatever the seed."""

WIDTH, HEIGHT = NOMINAL_WIDTH, 256


@dataclass(frozen=True)
class Scene:
    """`pixels` uint8 [height, width, 3], red first."""

    pixels: Array
    boxes: tuple[LabelledBox, ...]


def render_scene(split: str, seed: int, width: int = WIDTH, height: int = HEIGHT) -> Scene:
    """The scene with this seed in this split; the same in other sizes, but for noise."""
    dice = Dice(f"plugrt street scene 1/{split}/{seed}")
    light, plan = draw_light(dice), draw_plan(dice)
    camera = _draw_camera(plan, dice, width, height)
    canvas = Canvas(width, height)
    view = View(canvas, camera, light)
    draw_sky(view, dice)
    draw_skyline(view, dice)
    draw_ground(view, plan, dice, shade_edge(plan, view, dice))
    houses = sorted(draw_houses(plan, dice), key=lambda house: -house.middle)
    street = Street(view, plan, dice)
    for fill in (furnish, drive, pass_by):
        fill(street)
    things = sorted(street.things, key=lambda thing: -thing.depth)
    painter = Painter(canvas)
    corner = plan.junction if plan.junction is not None else 1e9
    for house in houses:
        if house.middle > corner:
            draw_house(view, plan, house)
    painter.draw([thing for thing in things if thing.is_behind_houses])
    for house in houses:
        if house.middle <= corner:
            draw_house(view, plan, house)
    painter.draw([thing for thing in things if not thing.is_behind_houses])
    boxes = painter.boxes()
    return Scene(expose(canvas, light, dice), boxes)


def _draw_camera(plan: StreetPlan, dice: Dice, width: int, height: int) -> Camera:
    style = dice.weighted([("car", 0.34), ("pavement", 0.30), ("pole", 0.36)])
    focal = width * dice.uniform(0.75, 1.25)
    if style == "car":
        lane = plan.lane_width * (0.5 if plan.lanes == 2 or dice.chance(0.5) else 1.5)
        position, yaw = lane + dice.uniform(-0.3, 0.3), dice.uniform(-0.14, 0.14)
        above, horizon = dice.uniform(1.25, 2.2), dice.uniform(0.36, 0.52)
    elif style == "pavement":
        side = dice.pick((-1, 1))
        position = side * (plan.road + dice.uniform(0.2, plan.pavement * 0.8))
        yaw = -side * dice.uniform(0.05, 0.55)
        above, horizon = dice.uniform(1.4, 2.6), dice.uniform(0.32, 0.5)
    else:
        position = dice.uniform(-plan.kerb, plan.kerb)
        yaw = -position / plan.kerb * dice.uniform(0.0, 0.35) + dice.uniform(-0.12, 0.12)
        above, horizon = dice.uniform(3.2, 7.5), dice.uniform(0.02, 0.30)
        focal *= 1.1
    return Camera(width, height, focal, horizon * height, above, position, yaw)
