"""Batch normalization: in other sections, and as a section of its own.

Implementations differ in what keeps the division finite: the first Darknet adds 1e-6 to the
square root of the variance, its widely used fork 1e-5 to the variance, OpenCV 1e-6 to the
variance. It matters where variances are tiny: real nets differ by up to 2e-4 between the first
and the last, by up to 2e-3 between the others. OpenCV's is the default: it is next to the first
Darknet's, for which most published weights were made, and the one that is still maintained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import Blob, DarknetLayer

EPSILONS: Mapping[str, Mapping[str, float]] = {
    "darknet": {"epsilon": 0.0, "outer_epsilon": 1e-6},
    "fork": {"epsilon": 1e-5, "outer_epsilon": 0.0},
    "opencv": {"epsilon": 1e-6, "outer_epsilon": 0.0},
}


@dataclass(frozen=True)
class Normalization:
    """Batch normalization of `channels`, as part of a section.

    With `loaded` false (`dontloadscales=1`) the file lacks its values, which are then those that
    training starts from: scales 1, means and variances 0.
    """

    channels: int
    variant: str
    loaded: bool = True

    def blobs(self) -> tuple[Blob, ...]:
        """Scales, means and variances, as all sections have them in the weights file."""
        if not self.loaded:
            return ()
        kinds = (("scales", "scale"), ("means", "mean"), ("variances", "variance"))
        return tuple(Blob(name, kind, (self.channels,)) for name, kind in kinds)

    def write(
        self, writer: GraphWriter, tensor: Any, blobs: Mapping[str, Array], suffix: str = ""
    ) -> Any:
        """`tensor` normalized, scaled and shifted by the blobs; biases may be absent."""
        zeros = np.zeros(self.channels, np.float32)
        start = {"scales": zeros + 1, "biases": zeros, "means": zeros, "variances": zeros}
        parameters = [writer.constant(name, blobs.get(name, start[name])) for name in start]
        return writer.layer(
            "BatchNormalization", [tensor, *parameters], suffix, axis=1, **EPSILONS[self.variant]
        )


class BatchNorm(DarknetLayer):
    """[batchnorm]. The first Darknet keeps no biases for it, the fork does."""

    names = ("batchnorm",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.normalization = Normalization(self.source.channels, self.settings.batch_norm)
        self.has_biases = self.settings.batch_norm == "fork"

    def blobs(self) -> Sequence[Blob]:
        biases = Blob("biases", "bias", (self.source.channels,))
        return (*((biases,) if self.has_biases else ()), *self.normalization.blobs())

    def power(self, inputs: Sequence[float]) -> float:
        return 1.0

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return self.normalization.write(writer, inputs[0], blobs)
