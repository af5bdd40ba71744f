"""The layers of Darknet that plugrt does not bring: one module each."""

from .activations import Loggy, Ramp
from .detection_layer import DetectionLayer
from .region import Region
from .reorg import Reorg
from .yolo import Yolo

__all__ = ["DetectionLayer", "Loggy", "Ramp", "Region", "Reorg", "Yolo"]
