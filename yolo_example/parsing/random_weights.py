"""Seeded random weights for Darknet nets, for tests and benchmarks.

Normal weights are scaled by the inputs' mean square and their number (He et al.,
arXiv:1502.01852), so that activations neither explode nor vanish in depth. Variances of batch
normalization are uniform in [0.5, 2].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from plugrt.plugins import Array, ModelError

from ..replacing import replacing
from .sections import Blob, DarknetLayer
from .weights_file import NEW_HEADER, WeightsHeader

INPUT_POWER = 0.3
"""The mean square of pixels in [0, 1], roughly."""

LARGEST_NET = 1 << 30
"""Values; more would take over 4 GB."""


def random_blobs(
    layers: Sequence[DarknetLayer], seed: int
) -> Iterator[tuple[DarknetLayer, dict[str, Array]]]:
    """Every layer with random float32 values for its blobs, by name.

    Raises ModelError where the net is too large to be filled.
    """
    total = sum(blob.count for layer in layers for blob in layer.blobs())
    if total > LARGEST_NET:
        raise ModelError(
            f"the network has {total} weights, too many to make up (at most {LARGEST_NET}); "
            "correct the filters and sizes in the definition"
        )
    return _generate(layers, seed)


def _generate(
    layers: Sequence[DarknetLayer], seed: int
) -> Iterator[tuple[DarknetLayer, dict[str, Array]]]:
    random = np.random.default_rng(seed)
    powers = {-1: INPUT_POWER}
    for layer in layers:
        inputs = [powers[index] for index in layer.sources]
        blobs = {b.name: _values(b, inputs[0], random) for b in layer.blobs()}
        powers[layer.index] = layer.power(inputs)
        yield layer, blobs


def write_random_weights(
    layers: Sequence[DarknetLayer], seed: int, path: Path, header: WeightsHeader = NEW_HEADER
) -> None:
    """A weights file for these layers, whole or not at all.

    Raises ModelError as `random_blobs` does, and FileError where it cannot be written.
    """
    content = random_blobs(layers, seed)
    with replacing(path) as file:
        file.write(header.pack())
        for layer, blobs in content:
            for blob in layer.blobs():
                values = blob.to_file(blobs[blob.name], matrices_transposed=header.transposed)
                file.write(values.astype("<f4").tobytes())


def _values(blob: Blob, power: float, random: np.random.Generator) -> Array:
    if blob.kind == "variance":
        return random.uniform(0.5, 2.0, blob.shape).astype(np.float32)
    if blob.kind == "scale":
        return random.uniform(0.8, 1.2, blob.shape).astype(np.float32)
    spread = 1 / sqrt(blob.fan_in * power) if blob.kind in ("weight", "matrix") else 0.1
    values = random.standard_normal(blob.shape, np.float32)
    values *= np.float32(spread)
    return values
