"""Objects in pictures: preparing pictures, decoding boxes, drawing and reporting them."""

from .boxes import Detection, place_in_picture, suppress_overlaps, to_detections
from .detector import Detector
from .drawing import draw_detections
from .pictures import Placement, letterboxed, open_picture, stretched, to_array
from .reporting import PictureResult, as_json, as_lines

__all__ = [
    "Detection", "Detector", "PictureResult", "Placement", "as_json", "as_lines",
    "draw_detections", "letterboxed", "open_picture", "place_in_picture", "stretched",
    "suppress_overlaps", "to_array", "to_detections",
]  # fmt: skip
