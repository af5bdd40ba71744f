"""Taking batch normalization into the weights before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plugrt.plugins import Array

from .layers import CaffeLayer


def fold_normalization(layers: Sequence[CaffeLayer]) -> list[CaffeLayer]:
    """The layers of one section, each BatchNorm with its Scale folded into the Convolution or
    InnerProduct before, or into one Scale where there is none."""
    folded: list[CaffeLayer] = []
    for layer in layers:
        normalized = folded[-1] if folded and folded[-1].type == "BatchNorm" else None
        if layer.type != "Scale" or normalized is None:
            folded.append(layer)
            continue
        factors, biases = _factors_and_biases(normalized, layer)
        folded.pop()
        before = folded[-1] if folded else None
        if before and before.type in ("Convolution", "InnerProduct"):
            folded[-1] = _folded(before, layer, factors, biases)
        else:
            folded.append(
                replace(
                    layer,
                    bottoms=normalized.bottoms,
                    weights=(factors.astype(np.float32), biases.astype(np.float32)),
                )
            )
    return folded


def _factors_and_biases(normalized: CaffeLayer, scale: CaffeLayer) -> tuple[Array, Array]:
    """What both layers do to every channel, float64."""
    means, variances, _ = (weights.astype(np.float64) for weights in normalized.weights)
    factors = scale.weights[0] / np.sqrt(variances + normalized.parameters["eps"])
    return factors, scale.weights[1] - means * factors


def _folded(layer: CaffeLayer, last: CaffeLayer, factors: Array, biases: Array) -> CaffeLayer:
    weights, *own = layer.weights
    weights = weights * factors.reshape(-1, *(1,) * (weights.ndim - 1))
    biases = biases + own[0] * factors if own else biases
    return replace(
        layer,
        name=last.name,
        tops=last.tops,
        parameters={**layer.parameters, "bias_term": True},
        weights=(weights.astype(np.float32), biases.astype(np.float32)),
    )
