"""What yolo and Gaussian_yolo have in common: some of all anchors, in pixels."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array, ShapeError, attribute

from .anchor_layer import AnchorLayer


class MaskedAnchorLayer(AnchorLayer):
    """The anchors `mask` of all anchors; sizes in pixels of the network's input."""

    mask: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (),
        "which of the anchors this layer uses; none given means all",
        allowed=lambda mask: all(index >= 0 for index in mask),
        rule="indices from 0",
    )
    image_size: attribute[tuple[int, ...]] = attribute(
        tuple[int, ...],
        (416, 416),
        "height and width of the network's input",
        allowed=lambda size: len(size) == 2 and min(size) > 0,
        rule="two numbers above 0",
    )
    scale_x_y = attribute(float, 1.0, "factor that widens the range of the centre")

    @property
    def used_anchors(self) -> tuple[int, ...]:
        """Indices of the anchors in use."""
        return self.mask or tuple(range(len(self.anchors) // 2))

    @property
    def anchor_count(self) -> int:
        return len(self.used_anchors)

    def check_attributes(self) -> None:
        count = len(self.anchors) // 2
        if max(self.used_anchors) >= count:
            raise ShapeError(
                f"{self.type}: mask={self.mask} names anchor {max(self.used_anchors)}, but there "
                f"are {count}; use 0 to {count - 1}"
            )

    def relative_sizes(self, height: int, width: int) -> Array:
        sizes = np.asarray(self.anchors, np.float32).reshape(-1, 2)[list(self.used_anchors)]
        return sizes / np.asarray(self.image_size[::-1], np.float32)
