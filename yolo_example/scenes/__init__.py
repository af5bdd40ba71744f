"""Street scenes that the project draws itself, with the boxes of the objects in them.

NumPy and the standard library alone: the same split, seed and size give the same picture on
every machine.
"""

from .classes import CLASS_NAMES
from .painter import LabelledBox
from .scene import HELD_OUT, TRAINING, Scene, render_scene

__all__ = ["CLASS_NAMES", "HELD_OUT", "TRAINING", "LabelledBox", "Scene", "render_scene"]
