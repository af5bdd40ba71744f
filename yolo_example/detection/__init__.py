"""Objects in pictures: decoding boxes, drawing and reporting them."""

from ..preparation import Picture, Placement, Preparation, open_picture
from .boxes import Detection, suppress_overlaps, to_detections
from .detector import Detector, Timing
from .drawing import draw_detections
from .reporting import PictureResult, as_json, as_lines
from .separate_stages import DetectionHead, SuppressionRule

__all__ = [
    "Detection", "DetectionHead", "Detector", "Picture", "PictureResult", "Placement",
    "Preparation", "SuppressionRule", "Timing", "as_json", "as_lines", "draw_detections",
    "open_picture", "suppress_overlaps", "to_detections",
]  # fmt: skip
