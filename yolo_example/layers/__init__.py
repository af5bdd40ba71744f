"""The layers of Darknet that plugrt does not bring: one module each."""

from .activations import HardMish, Lhtan, Loggy, Plse, Ramp, Stair
from .anchor_layer import AnchorLayer
from .channel_normalization import ChannelNormalization
from .class_tree import ClassTree
from .detection_layer import MOST_BOXES, NMS_KINDS, DetectionLayer
from .gaussian_yolo import GaussianYolo
from .implicit import Implicit
from .region import Region
from .reorg import Reorg
from .tree_softmax import TreeSoftmax
from .yolo import Yolo
from .yolo_v1 import YoloV1

__all__ = [
    "MOST_BOXES", "NMS_KINDS", "AnchorLayer", "ChannelNormalization", "ClassTree", "DetectionLayer",
    "GaussianYolo", "HardMish", "Implicit", "Lhtan", "Loggy", "Plse", "Ramp", "Region", "Reorg",
    "Stair", "TreeSoftmax", "Yolo", "YoloV1",
]  # fmt: skip
