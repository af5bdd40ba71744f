"""Randomness that no version of Python or NumPy changes.

Python promises the stream of `random.Random.random()` for a seed, of nothing else in that class;
so all draws are made of it. Values per pixel come from an integer hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Item = TypeVar("Item")

TEXTURE_SIZE = 256


class Dice:
    """Draws for one scene, from a text that names it."""

    def __init__(self, name: str) -> None:
        self._next = Random(int.from_bytes(sha256(name.encode()).digest()[:8], "little")).random

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        return low + (high - low) * self._next()

    def towards_low(self, low: float, high: float) -> float:
        """A number between two positive ones, each octave as likely as the others."""
        return float(low * (high / low) ** self._next())

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._next() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True as often as `probability` says."""
        return self._next() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[int(self._next() * len(items))]

    def weighted(self, items: Sequence[tuple[Item, float]]) -> Item:
        """One of the items, which come with weights."""
        left = self._next() * sum(weight for _, weight in items)
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        return items[-1][0]

    def bits(self) -> int:
        """32 random bits, for `hashed`."""
        return int(self._next() * 4294967296.0)


def hashed(values: Array, salt: int) -> Array:
    """Integers as uint32 values without visible order, the same shape."""
    mixed = np.asarray(values).astype(np.int64).astype(np.uint32)
    mixed = (mixed ^ np.uint32(salt & 0xFFFFFFFF)) * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA77)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE3D)
    mixed ^= mixed >> np.uint32(16)
    return mixed


def hashed_fraction(values: Array, salt: int) -> Array:
    """`hashed` as float32 from 0 to 1."""
    return (hashed(values, salt) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def grain(height: int, width: int, salt: int) -> Array:
    """Nearly normal noise, float32 [height, width], mean 0, deviation 1."""
    bits = hashed(np.arange(height * width), salt)
    total = np.zeros(len(bits), np.float32)
    for shift in (0, 8, 16, 24):
        total += ((bits >> np.uint32(shift)) & np.uint32(255)).astype(np.float32)
    total -= np.float32(510.0)
    total *= np.float32(1 / 147.8)
    return total.reshape(height, width)


@cache
def cloud_texture() -> Array:
    """Soft noise of several sizes, float32 [256, 256] from 0 to 1, which tiles."""
    total = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE), np.float32)
    strength, reach = 0.5, 0.0
    for octave, cells in enumerate((8, 16, 32, 64, 128)):
        total += np.float32(strength) * _smooth_noise(cells, octave)
        reach += strength
        strength *= 0.55
    return total / np.float32(reach)


def sample_texture(rows: Array, columns: Array) -> Array:
    """`cloud_texture` at these places, counted in its pixels, without interpolation."""
    mask = TEXTURE_SIZE - 1
    down, across = rows.astype(np.int32) & mask, columns.astype(np.int32) & mask
    found: Array = cloud_texture()[down, across]
    return found


def _smooth_noise(cells: int, salt: int) -> Array:
    corners = hashed_fraction(np.arange(cells * cells), salt + 77).reshape(cells, cells)
    place = np.arange(TEXTURE_SIZE, dtype=np.float32) * np.float32(cells / TEXTURE_SIZE)
    first = place.astype(np.int32)
    weight = place - first
    weight = weight * weight * (3 - 2 * weight)
    second = (first + 1) % cells
    rows = corners[first] + weight[:, None] * (corners[second] - corners[first])
    mixed: Array = rows[:, first] + weight * (rows[:, second] - rows[:, first])
    return mixed
