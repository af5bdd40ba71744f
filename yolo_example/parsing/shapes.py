"""Sizes of activations, per image, as Darknet counts them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureShape:
    """The size of one image's activations. `flat` ones are a vector of `channels` numbers."""

    channels: int
    height: int = 1
    width: int = 1
    flat: bool = False

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return self.channels * self.height * self.width

    @property
    def area(self) -> tuple[int, int]:
        """Height and width."""
        return (self.height, self.width)

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, self.height, self.width)

    @property
    def spatial(self) -> FeatureShape:
        """The same, with height and width."""
        return FeatureShape(*self.dimensions)

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"
