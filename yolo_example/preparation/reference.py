"""The preparation of pictures in NumPy."""

from __future__ import annotations

import numpy as np

from plugrt.plugins import Array

from .placement import Place, Preparation

UNIT = np.float32(2048)
"""One, in OpenCV's weights of 11 bits."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)


def prepared(
    picture: Array, preparation: Preparation, channels: int, height: int, width: int
) -> Array:
    """A picture, uint8 [height, width, 3 or more], as float32 [channels, height, width]."""
    place = preparation.place(picture.shape[0], picture.shape[1], height, width)
    pixels = picture[..., :3].astype(np.float32)
    mixed = (_mixed_by_centres if preparation.is_centred else _mixed_by_corners)(
        pixels, place, height, width
    )
    planes = mixed.transpose(2, 0, 1).astype(np.float32)
    if channels == 1:
        red, green, blue = LUMINANCE * planes
        planes = (red + green + blue)[None]
    if preparation is Preparation.LETTER_BOX:
        rows = _inside(place.top, place.height, height)
        columns = _inside(place.left, place.width, width)
        planes[:, ~(rows[:, None] & columns)] = 0.5
    return planes


def _inside(start: int, size: int, extent: int) -> Array:
    inside = np.zeros(extent, np.bool_)
    inside[max(start, 0) : max(start + size, 0)] = True
    return inside


def _mixed_by_corners(pixels: Array, place: Place, height: int, width: int) -> Array:
    """As Darknet: places go from the first pixel to the last one. The last row has its first
    neighbour's share only."""
    white = np.float32(1 / 255)
    rows, columns = pixels.shape[0], pixels.shape[1]
    upper, lower, share = _corner_taps(np.arange(height) - place.top, place.height, rows, True)
    left, right, part = _corner_taps(np.arange(width) - place.left, place.width, columns, False)
    above, below = ((1 - part) * pixels[r][:, left] + part * pixels[r][:, right]
                    for r in (upper, lower))  # fmt: skip
    is_last = (np.clip(np.arange(height) - place.top, 0, place.height - 1) == place.height - 1)
    is_last = (is_last | (rows == 1)) & (place.height > 1)
    second = np.where(is_last[:, None, None], np.float32(0), share[:, None])
    return np.asarray((1 - share[:, None]) * white * above + second * white * below)


def _corner_taps(
    places: Array, size: int, extent: int, is_rows: bool
) -> tuple[Array, Array, Array]:
    """Both neighbours of every place, and the share of the second, [places, 1]."""
    last = extent - 1
    places = np.clip(places, 0, size - 1)
    step = np.float32(last) / np.float32(size - 1) if size > 1 else np.float32(0)
    position = places.astype(np.float32) * np.float32(step)
    first = np.clip(position.astype(np.int64), 0, last)
    share = (position - first).astype(np.float32)
    is_end = (places == size - 1) | (last == 0)
    whole = is_end & (not is_rows) | (size == 1)
    first, share = np.where(whole, last, first), np.where(whole, np.float32(0), share)
    return first, np.clip(first + 1, 0, last), share[:, None].astype(np.float32)


def _mixed_by_centres(pixels: Array, place: Place, height: int, width: int) -> Array:
    """As OpenCV: weights of 11 bits, and rounding to bytes."""
    rows, columns = pixels.shape[0], pixels.shape[1]
    upper, lower, a, b = _centre_taps(np.arange(height) - place.top, place.height, rows, True)
    left, right, c, d = _centre_taps(np.arange(width) - place.left, place.width, columns, False)
    above, below = (c * pixels[r][:, left] + d * pixels[r][:, right] for r in (upper, lower))
    shares = [
        (line.astype(np.int64) >> 4) * weight.astype(np.int64)[:, None] >> 16
        for line, weight in ((above, a), (below, b))
    ]
    return np.asarray(((shares[0] + shares[1] + 2) >> 2) * np.float32(1 / 255), np.float32)


def _centre_taps(
    places: Array, size: int, extent: int, is_rows: bool
) -> tuple[Array, Array, Array, Array]:
    """Both neighbours of every place, and the weights of both, [places, 1]."""
    places = np.clip(places, 0, size - 1)
    position = ((places + 0.5) * (1.0 / (size / extent)) - 0.5).astype(np.float32)
    first = np.floor(position).astype(np.int64)
    share = (position - first).astype(np.float32)
    if not is_rows:
        share[(first < 0) | (first >= extent - 1)] = 0
    weights = [np.rint((one * UNIT).astype(np.float32))[:, None] for one in (1 - share, share)]
    near, far = (np.clip(index, 0, extent - 1) for index in (first, first + 1))
    return near, far, weights[0], weights[1]
