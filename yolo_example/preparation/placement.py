"""How a picture becomes as large as a network's input, and where it then lies in that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in the network's input, relative to it: corner and size."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


@dataclass(frozen=True)
class Place:
    """The whole picture once resized, and its upper left pixel in the input: below 0 where it
    is cropped."""

    height: int
    width: int
    top: int = 0
    left: int = 0

    def placement(self, height: int, width: int) -> Placement:
        """Relative to an input of this size.

        Darknet maps boxes back with halves of pixels, though it places pictures on whole ones.
        """
        return Placement(
            (width - self.width) / 2 / width,
            (height - self.height) / 2 / height,
            self.width / width,
            self.height / height,
        )


class Preparation(Enum):
    """How a picture becomes as large as a network's input. All interpolate bilinearly."""

    STRETCHED = "stretched"
    """The proportions are given up. Equal to OpenCV's `blobFromImage` bit for bit: centres of
    corner pixels half a pixel inside, 11-bit weights, values rounded to 8 bits."""

    LETTER_BOX = "letter-box"
    """Fitted into a frame of grey (0.5), as the first Darknet's detector and classifier do:
    corners on corners, no rounding."""

    CENTRE_CROP = "centre-crop"
    """The shorter side made as long as the input is wide, the middle taken, as the fork's
    `classifier predict` does; interpolated like the letter box."""

    @property
    def is_centred(self) -> bool:
        """Whether places are the centres of pixels, as in OpenCV, and not corners on corners."""
        return self is Preparation.STRETCHED

    def place(self, picture_height: int, picture_width: int, height: int, width: int) -> Place:
        """Where a picture of this size lies in an input of that size."""
        if self is Preparation.STRETCHED:
            return Place(height, width)
        if self is Preparation.LETTER_BOX:
            return letter_boxed(picture_height, picture_width, height, width)
        return centre_cropped(picture_height, picture_width, height, width)


def letter_boxed(picture_height: int, picture_width: int, height: int, width: int) -> Place:
    """The picture fitted in as a whole, in the middle (`letterbox_image`)."""
    inner_height, inner_width = fitted_size(picture_height, picture_width, height, width)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    return Place(inner_height, inner_width, top, left)


def centre_cropped(picture_height: int, picture_width: int, height: int, width: int) -> Place:
    """The shorter side as long as the input is wide, and of that the middle (`resize_min` and
    `crop_image`, as the fork's `classifier predict` calls them)."""
    if picture_width < picture_height:
        inner_width, inner_height = width, picture_height * width // picture_width
    else:
        inner_height, inner_width = width, picture_width * width // picture_height
    # C rounds towards 0, also what lies beyond the picture.
    top, left = int((height - inner_height) / 2), int((width - inner_width) / 2)
    return Place(inner_height, inner_width, top, left)


def fitted_size(
    picture_height: int, picture_width: int, height: int, width: int
) -> tuple[int, int]:
    """The largest size with the picture's proportions within height x width, rounded down as
    Darknet does, at least 1."""
    one = np.float32(1)  # the fork and the first Darknet compare quotients in float
    if one * width / picture_width < one * height / picture_height:
        return max(1, picture_height * width // picture_width), width
    return height, max(1, picture_width * height // picture_height)
