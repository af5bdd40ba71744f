"""[Gaussian_yolo], a section of Darknet's fork."""

from __future__ import annotations

from ..option_reader import OptionReader
from .detection import Yolo

POINTS = ("center", "left_top", "right_bottom")


class GaussianYolo(Yolo):
    """A yolo layer that predicts how uncertain each coordinate is."""

    names = ("Gaussian_yolo",)
    layer_type = "Darknet.GaussianYolo"
    coords = 8

    def read_further(self, options: OptionReader) -> None:
        point = options.text("yolo_point", POINTS[0])
        if point not in POINTS:
            raise options.error(
                "yolo_point", f"yolo_point={point} is not known; write one of {', '.join(POINTS)}"
            )
        self.further = {"yolo_point": point}
