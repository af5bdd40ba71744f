"""Pictures on their way into a network: opening, resizing as Darknet and OpenCV do, batches."""

from .batches import Batch, PictureBatches
from .opening import open_picture
from .picture_input import PictureInput
from .pixels import MAXIMUM_SIDE, Picture
from .placement import Placement, Preparation
from .preparing import prepare

__all__ = [
    "MAXIMUM_SIDE", "Batch", "Picture", "PictureBatches", "PictureInput", "Placement",
    "Preparation", "open_picture", "prepare",
]  # fmt: skip
