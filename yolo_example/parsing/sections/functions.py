"""Sections that change nothing at inference, or are one function: [dropout], [cost],
[activation], [softmax]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plugrt.plugins import Array

from ..activations import read_activation
from ..graph_writer import GraphWriter
from ..option_reader import OptionReader
from ..shapes import FeatureShape
from .base import DarknetLayer


class Dropout(DarknetLayer):
    """Nothing at inference: its name stands for the tensor before it."""

    names = ("dropout",)
    ignored = frozenset({"dropblock", "dropblock_size_abs", "dropblock_size_rel", "probability"})

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        pass

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return inputs[0]


class Cost(Dropout):
    """The loss: nothing at inference."""

    names = ("cost",)
    ignored = frozenset({"noobj", "ratio", "scale", "smooth", "thresh", "type"})


class ActivationLayer(DarknetLayer):
    """An activation function alone."""

    names = ("activation",)

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        self.activation = read_activation(options, "linear")

    def power(self, inputs: Sequence[float]) -> float:
        return inputs[0] * self.activation.power

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        return self.activation.write(writer, inputs[0])


class Softmax(DarknetLayer):
    """Over all values, over each of `groups`, or with `spatial=1` over the channels of every
    pixel."""

    names = ("softmax", "soft")
    ignored = frozenset({"noloss"})
    is_output = True

    def read(self, options: OptionReader, earlier: Sequence[DarknetLayer]) -> None:
        if "tree" in options:
            raise options.error("tree", "a tree of classes is not supported; only flat ones are")
        self.groups = options.integer("groups", 1, minimum=1)
        self.spatial_axis = options.flag("spatial")
        self.temperature = options.number("temperature", 1.0)
        if self.temperature <= 0:
            raise options.error("temperature", f"temperature={self.temperature:g} must be above 0")
        if self.source.size % self.groups:
            raise options.error(
                "groups", f"groups={self.groups} does not divide the {self.source.size} inputs"
            )
        if not self.spatial_axis:
            self.output = FeatureShape(self.source.size, flat=True)

    def write(self, writer: GraphWriter, inputs: Sequence[Any], blobs: Mapping[str, Array]) -> Any:
        tensor = inputs[0]
        if self.temperature != 1:
            factor = writer.constant("scale", np.asarray(1 / self.temperature, np.float32))
            tensor = writer.layer("Multiply", [tensor, factor], "scaled")
        if self.spatial_axis:
            return writer.layer("Softmax", [tensor], axis=1)
        if self.groups > 1:
            shape = (0, self.groups, self.source.size // self.groups)
            tensor = writer.layer("Reshape", [tensor], "groups", shape=shape)
            tensor = writer.layer("Softmax", [tensor], "softmax", axis=-1)
            return writer.layer("Reshape", [tensor], shape=(0, self.source.size))
        if not self.source.flat:
            tensor = writer.layer("Flatten", [tensor], "flat", axis=1)
        return writer.layer("Softmax", [tensor], axis=-1)
