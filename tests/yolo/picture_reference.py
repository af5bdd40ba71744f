"""Darknet's preparation of pictures in NumPy, from its definition: the judge of the kernel.

Pictures are float32 [channels, height, width] here, values from 0 to 1.
"""

import numpy as np

from plugrt.plugins import Array
from yolo_example.preparation.placement import fitted_size


def to_planes(pixels: Array) -> Array:
    """Bytes [height, width, 3] as float planes."""
    return np.ascontiguousarray((pixels / np.float32(255)).transpose(2, 0, 1), np.float32)


def resized(image: Array, height: int, width: int) -> Array:
    """`resize_image`: corners on corners, first along rows, then columns."""
    image = _along(image, width, axis=2, drops_end=False)
    return _along(image, height, axis=1, drops_end=True)


def letter_boxed(image: Array, height: int, width: int) -> Array:
    """`letterbox_image`."""
    inner_height, inner_width = fitted_size(image.shape[1], image.shape[2], height, width)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    boxed = np.full((len(image), height, width), 0.5, np.float32)
    inner = resized(image, inner_height, inner_width)
    boxed[:, top : top + inner_height, left : left + inner_width] = inner
    return boxed


def centre_cropped(image: Array, height: int, width: int) -> Array:
    """`resize_min` to the width, then `crop_image` from the middle."""
    _, picture_height, picture_width = image.shape
    if picture_width < picture_height:
        inner = resized(image, picture_height * width // picture_width, width)
    else:
        inner = resized(image, width, picture_width * width // picture_height)
    top, left = int((inner.shape[1] - height) / 2), int((inner.shape[2] - width) / 2)
    rows = np.clip(np.arange(height) + top, 0, inner.shape[1] - 1)
    columns = np.clip(np.arange(width) + left, 0, inner.shape[2] - 1)
    return inner[:, rows[:, np.newaxis], columns]


def _along(image: Array, size: int, axis: int, drops_end: bool) -> Array:
    """The image with `size` places along an axis, each between two neighbours in proportion.

    `drops_end`: the last place has the first neighbour's share only, which is Darknet's way
    with rows, and next to nothing where rounding puts the place before the last row.
    """
    last = image.shape[axis] - 1
    position = np.arange(size, dtype=np.float32) * (np.float32(last) / np.float32(max(size - 1, 1)))
    if size == 1 or not drops_end:
        position[-1] = last
    first = np.minimum(position.astype(np.int64), last)
    weight = (position - first).astype(np.float32)
    shape = [1] * image.ndim
    shape[axis] = size
    lower = (1 - weight).reshape(shape) * image.take(first, axis)
    if drops_end:
        weight[-1] = 0
    upper: Array = weight.reshape(shape) * image.take(np.minimum(first + 1, last), axis)
    return lower + upper


def random_pixels(height: int, width: int) -> Array:
    """Bytes [height, width, 3] without a pattern, the same for the same size."""
    return np.random.default_rng(height * 1000 + width).integers(
        0, 256, (height, width, 3), np.uint8
    )
