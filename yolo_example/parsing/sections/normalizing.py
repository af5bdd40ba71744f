"""[l2norm] and [normalization]: what neighbouring channels hold, to one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import DarknetLayer

MOST_CHANNELS = 4096
"""Of [normalization], whose layer has a weight for every two channels."""


class EuclideanNorm(DarknetLayer):
    """The channels of every pixel divided by their Euclidean length. The first Darknet's."""

    names = ("l2norm",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        pass

    def power(self, inputs: Sequence[float]) -> float:
        return 1 / self.source.channels

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return writer.layer("Darknet.ChannelNormalization", inputs, kind="euclidean")


class ResponseNorm(DarknetLayer):
    """x / (kappa + alpha * s)^beta, where s is the sum of squares over `size` channels around
    x, less the square of channel size / 2.

    That difference from AlexNet's formula is both Darknets': they start with the sum for channel
    0 without its last term, and carry it from channel to channel.
    """

    names = ("normalization", "lrn")

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.alpha = options.number("alpha", 1e-4)
        self.beta = options.number("beta", 0.75)
        self.kappa = options.number("kappa", 1.0)
        self.size = options.integer("size", 5, minimum=1)
        channels = self.source.channels
        if self.size // 2 > channels or channels > MOST_CHANNELS:
            raise options.error(
                "size",
                f"size={self.size} does not fit {channels} channels; use at most "
                f"{2 * channels + 1}, and at most {MOST_CHANNELS} channels",
            )

    def band(self) -> Array:
        """alpha where channel j counts for channel k, [C, C]."""
        channels = np.arange(self.source.channels)
        distance = channels - channels[:, np.newaxis]
        counts = (distance >= -((self.size - 1) // 2)) & (distance <= self.size // 2)
        lacking = channels == self.size // 2
        return np.asarray(self.alpha * (counts.astype(np.float32) - lacking), np.float32)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = self.spatial(writer, inputs[0])
        band = self.band()[..., np.newaxis, np.newaxis]
        kappa = np.full(self.source.channels, self.kappa, np.float32)
        squares = writer.layer("Multiply", [tensor, tensor], "squares")
        sums = writer.layer(
            "Convolution",
            [squares, writer.constant("band", band), writer.constant("kappa", kappa)],
            "sums",
        )
        exponent = writer.constant("exponent", np.asarray(-self.beta, np.float32))
        factors = writer.layer("Power", [sums, exponent], "factors")
        return writer.layer("Multiply", [tensor, factors])
