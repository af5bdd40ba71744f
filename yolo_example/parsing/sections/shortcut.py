"""[shortcut]: earlier layers added to the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from .base import Blob, DarknetLayer, layer_index, with_area
from .fitting import StridedFit, flat_fit

WEIGHTS = {"none": "none", "per_feature": "layer", "per_layer": "layer", "per_channel": "channel"}

NORMALIZATIONS = {"none": "none", "relu": "relu", "avg_relu": "relu", "softmax": "softmax"}

EPSILON = np.float32(1e-4)


class Shortcut(DarknetLayer):
    """activation(alpha * the layer before + beta * the layer named by `from`); with several
    layers their sum, with `weights_type` weighted by numbers of the weights file.

    Layers of other sizes are added as the first Darknet does it (see `StridedFit`); several
    ones, weighted ones and all with --batch-norm fork as the fork does it (see `flat_fit`). The
    two agree where height and width are equal. Alpha counts only where something is added.
    """

    names = ("shortcut",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        added = tuple(
            layer_index(options, "from", value, earlier)
            for value in options.required_integers("from")
        )
        self.sources = (self.index - 1, *added)
        self.added = [earlier[index].output for index in added]
        self.activation = read_activation(options, "linear")
        self.alpha, self.beta = (options.number(name, 1.0) for name in ("alpha", "beta"))
        self.weights = _one_of(options, "weights_type", WEIGHTS)
        self.normalization = _one_of(options, "weights_normalization", NORMALIZATIONS)
        is_forks = len(added) > 1 or self.weights != "none"
        if is_forks and (self.alpha, self.beta) != (1, 1):
            raise options.error(
                "alpha" if self.alpha != 1 else "beta",
                "alpha and beta belong to shortcuts of one layer without weights; delete them",
            )
        self.fits_flat = is_forks or self.settings.batch_norm == "fork"
        for index, shape in zip(added, self.added, strict=True):
            if not self.fits_flat and not StridedFit(shape, self.source).fits:
                raise options.error(
                    "from",
                    f"layer {index} ({shape}) cannot be added to the layer before "
                    f"({self.source}); its height and width must be the same, or both larger "
                    "or smaller by one factor",
                )
        if any(shape != self.source for shape in self.added):
            self.output = self.source.spatial

    def blobs(self) -> Sequence[Blob]:
        if self.weights == "none":
            return ()
        numbers = self.source.channels if self.weights == "channel" else 1
        return (Blob("weights", "scale", (len(self.sources), numbers)),)

    def power(self, inputs: Sequence[float]) -> float:
        # An activation changes little: such sums are mostly positive.
        if self.weights != "none" and self.normalization != "none":
            return sum(inputs) / len(inputs) ** 2
        return inputs[0] * self.alpha**2 + sum(inputs[1:]) * self.beta**2

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        terms = list(inputs)
        if not self.output.flat:
            shapes = (self.source, *self.added)
            terms = [
                with_area(writer, tensor, shape, f"reshape{k}")
                for k, (tensor, shape) in enumerate(zip(terms, shapes, strict=True))
            ]
        for k, shape in enumerate(self.added, start=1):
            name = f"from{k - 1}"
            if self.fits_flat:
                terms[k] = flat_fit(writer, terms[k], shape, self.source, name)
                continue
            fit = StridedFit(shape, self.source)
            terms[k] = fit.write(writer, terms[k], name)
            terms[0] = _scaled(writer, terms[0], fit.factors(self.alpha), "alpha")
            terms[k] = _scaled(writer, terms[k], np.asarray(self.beta, np.float32), "beta")
        if self.weights != "none":
            factors = normalized(blobs["weights"], self.normalization)
            if not self.output.flat:
                factors = factors[..., np.newaxis, np.newaxis]
            for k, factor in enumerate(factors):
                terms[k] = _scaled(writer, terms[k], factor, f"weights{k}")
        suffix = "" if self.activation.layer is None else "sum"
        tensor = writer.layer("Add" if len(terms) == 2 else "Sum", terms, suffix)
        return self.activation.write(writer, tensor)


def normalized(weights: Array, how: str) -> Array:
    """Weights [layers, numbers] normalized over the layers, in float32 as the fork does it."""
    if how == "none":
        return weights
    shifted = weights - weights.max(axis=0)
    positive = np.maximum(weights, 0) if how == "relu" else np.exp(shifted)
    return np.asarray(positive / (EPSILON + positive.sum(axis=0)))


def _scaled(writer: GraphWriter, tensor: Any, factors: Array, name: str) -> Any:
    if (factors == 1).all():
        return tensor
    return writer.layer("Multiply", [tensor, writer.constant(name, factors)], f"{name}.product")


def _one_of(options: OptionReader, name: str, allowed: Mapping[str, str]) -> str:
    value = options.text(name, "none")
    if value not in allowed:
        raise options.error(
            name, f"{name}={value!r} is not supported; use one of: {', '.join(allowed)}"
        )
    return allowed[value]
