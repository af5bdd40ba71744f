"""Batch normalization: in other sections, and as a section of its own.

Implementations differ in what keeps the division finite: the first Darknet adds 1e-6 to the
square root of the variance, its widely used fork 1e-5 to the variance, OpenCV 1e-6 to the
variance. It matters where variances are tiny: real nets differ by up to 2e-4 between the first
and the last, by up to 2e-3 between the others. OpenCV's is the default, being the one still
maintained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def normalization_blobs(channels: int) -> tuple[Blob, ...]:
    """Scales, means and variances, as all sections have them in the weights file."""
    kinds = (("scales", "scale"), ("means", "mean"), ("variances", "variance"))
    return tuple(Blob(name, kind, (channels,)) for name, kind in kinds)


def write_normalization(
    writer: GraphWriter, tensor: Any, blobs: Mapping[str, Array], variant: str, suffix: str = ""
) -> Any:
    """`tensor` normalized, scaled and shifted by the blobs."""
    parameters = [
        writer.constant(name, blobs[name]) for name in ("scales", "biases", "means", "variances")
    ]
    return writer.layer(
        "BatchNormalization", [tensor, *parameters], suffix, axis=1, **EPSILONS[variant]
    )


class BatchNorm(DarknetLayer):
    """[batchnorm]. The first Darknet keeps no biases for it, the fork does."""

    names = ("batchnorm",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.has_biases = self.settings.batch_norm == "fork"

    def blobs(self) -> Sequence[Blob]:
        channels = self.source.channels
        biases = (Blob("biases", "bias", (channels,)),) if self.has_biases else ()
        return (*biases, *normalization_blobs(channels))

    def power(self, inputs: Sequence[float]) -> float:
        return 1.0

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        zeros = np.zeros(self.source.channels, np.float32)
        return write_normalization(
            writer, inputs[0], {"biases": zeros, **blobs}, self.settings.batch_norm
        )
