"""What camera and compression do to a picture: rain, blur, noise, blocks."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .light import Light
from .randomness import Array, Dice, grain

BLOCK = 8


def expose(canvas: Canvas, light: Light, dice: Dice) -> Array:
    """The finished picture, uint8 [height, width, 3]."""
    pixels = canvas.pixels
    if light.rain > 0.5:
        _rain_streaks(canvas, light, dice)
    blur = dice.uniform(0.0, 0.9)
    if dice.chance(0.7):
        pixels = _blurred(pixels, blur * canvas.width / 416)
    gain, tint = dice.uniform(0.85, 1.15), dice.uniform(-0.05, 0.05)
    pixels = (
        pixels * np.array([gain * (1 + tint), gain, gain * (1 - tint)], np.float32)[:, None, None]
    )
    contrast = dice.uniform(0.85, 1.12)
    pixels = (pixels - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5)
    noise = grain(canvas.height, canvas.width, dice.bits()) * np.float32(light.grain)
    pixels = pixels + noise
    if light.grain > 0.01:
        speckle = grain(canvas.height, canvas.width, dice.bits()) * np.float32(light.grain * 0.6)
        pixels[0] += speckle
        pixels[2] -= speckle
    values = np.floor(np.clip(pixels, 0, 1) * np.float32(255) + np.float32(0.5))
    if dice.chance(0.6):
        values = _compressed(values, dice.integer(4, 22))
    return np.ascontiguousarray(values.astype(np.uint8).transpose(1, 2, 0))


def _rain_streaks(canvas: Canvas, light: Light, dice: Dice) -> None:
    lean = dice.uniform(-0.25, 0.25)
    unit = canvas.height / 256
    color = tuple(0.5 * c + 0.3 for c in light.sky_below)
    for _ in range(70):
        x, y = dice.uniform(0, canvas.width), dice.uniform(-10, canvas.height)
        length = dice.uniform(6, 22) * unit
        half = dice.uniform(0.25, 0.6) * unit
        corners = [(x - half, y), (x + half, y), (x + lean * length + half, y + length),
                   (x + lean * length - half, y + length)]  # fmt: skip
        canvas.polygon(corners, (color[0], color[1], color[2]), 0.3)


def _blurred(pixels: Array, strength: float) -> Array:
    """Three taps along rows and columns, the outer ones up to a third."""
    side = np.float32(min(strength * 0.3, 0.33))
    for axis in (1, 2):
        padded = np.pad(pixels, [(0, 0)] + [(int(axis == a),) * 2 for a in (1, 2)], mode="edge")
        size = pixels.shape[axis]
        before, after = (padded.take(range(k, k + size), axis) for k in (0, 2))
        pixels = pixels * (1 - 2 * side) + (before + after) * side
    return pixels


def _compressed(values: Array, step: int) -> Array:
    """Coarse coefficients in blocks of 8 x 8, as JPEG has them.

    The transform is Hadamard's: sums of whole numbers, which are exact in float32 in any order.
    """
    _, height, width = values.shape
    down, across = -height % BLOCK, -width % BLOCK
    padded = np.pad(values, [(0, 0), (0, down), (0, across)], mode="edge")
    rows, columns = padded.shape[1] // BLOCK, padded.shape[2] // BLOCK
    blocks = padded.reshape(3, rows, BLOCK, columns, BLOCK).transpose(0, 1, 3, 2, 4)
    matrix, order = _hadamard()
    coefficients = matrix @ (blocks @ matrix)
    # Fine detail is kept more coarsely.
    quantum = np.floor((1 + order[:, None] + order) * np.float32(step * 0.45) + step * 3)
    kept = np.floor(coefficients / quantum + np.float32(0.5)) * quantum
    restored = (matrix @ (kept @ matrix)) * np.float32(1 / BLOCK**2)
    picture = restored.transpose(0, 1, 3, 2, 4).reshape(padded.shape)[:, :height, :width]
    result: Array = np.floor(np.clip(picture, 0, 255) + np.float32(0.5))
    return result


def _hadamard() -> tuple[Array, Array]:
    """The 8 x 8 matrix of signs, and how often each row changes sign."""
    matrix = np.ones((1, 1), np.float32)
    for _ in range(3):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix, (np.diff(matrix, axis=1) != 0).sum(axis=1).astype(np.float32)
